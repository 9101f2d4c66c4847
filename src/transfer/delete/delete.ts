import type { Digest } from '../../content/digest.ts'
import { formatReference, manifestName } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { referrersTag } from '../../oci/manifests/referrers.ts'
import type { Repository } from '../../oci/registry.ts'
import { lookingOnly, tellDone } from '../dry-run.ts'
import { notFound } from '../resolve.ts'
import { carryOut, type RemovalPlan } from './carry-out.ts'
import type { Decision } from './decide.ts'
import { createGraph } from './graph.ts'
import { subjectOf } from './manifest-removal.ts'
import { announce, closeRows, plannedOutcome, planRemoval, type Wanted } from './plan.ts'
import type { DeleteDependencies, DeleteRequest, RemovalOutcome, RemovedItem } from './request.ts'
import { cutIndex, cutList } from './rewrite.ts'
import { lookAt, type Named, type Survey, surveyTags } from './survey.ts'

export type {
  DeleteDependencies,
  DeleteRequest,
  KeptItem,
  RemovalNotes,
  RemovalOutcome,
  RemovedItem,
} from './request.ts'

/**
 * Deletes a tag, architectures of the index under one, or a manifest by its digest; with that goes what nothing refers to any more:
 * manifests, their signatures and whatever else refers to them. Nothing goes that another tag leads to. Throws MANIFEST_NOT_FOUND,
 * MANIFEST_IN_USE, ARCHITECTURE_NOT_FOUND, TAG_*, REGISTRY_*, JOB_FENCED, JOB_CANCELED.
 */
export async function deleteReference(
  request: DeleteRequest,
  dependencies: DeleteDependencies,
): Promise<RemovalOutcome> {
  const noted = (await dependencies.notes?.load()) ?? []
  const plan = await prepare(request, noted, dependencies)
  await announce(plan, dependencies)
  const { removed, kept, problems } = await carryOut(plan, dependencies)
  if (removed.length === 0 && problems[0]) throw problems[0]
  closeRows(plan, removed, dependencies.onEvent)
  return { ...plan.named, removed: withEarlier(removed, noted, kept), kept, problems }
}

/** What that would do, without a request that writes. Throws as it does. */
export async function planDelete(request: DeleteRequest, dependencies: DeleteDependencies): Promise<RemovalOutcome> {
  const looking = lookingOnly(dependencies)
  const plan = await prepare(request, [], looking)
  tellDone(dependencies.onEvent)
  return plannedOutcome(plan, plan.named)
}

/** With what earlier runs of the job did; what stays did not go. */
export function withEarlier(
  removed: readonly RemovedItem[],
  noted: readonly RemovedItem[],
  kept: RemovalOutcome['kept'],
): readonly RemovedItem[] {
  const name = ({ kind, tag = '', digest }: RemovedItem): string => `${kind} ${tag} ${digest}`
  const told = new Set(removed.map(name))
  const stays = new Set(kept.map(({ digest }) => digest))
  return [...removed, ...noted.filter((item) => !told.has(name(item)) && !stays.has(item.digest))]
}

type Prepared = RemovalPlan & { named: Pick<RemovalOutcome, 'reference' | 'digest'> }

async function prepare(
  request: DeleteRequest,
  noted: readonly RemovedItem[],
  dependencies: DeleteDependencies,
): Promise<Prepared> {
  const { signal, onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'planning' })
  const { reference } = request
  const { registry, repository: name } = reference
  const where = formatReference(reference)
  const repository = await dependencies.repository(registry, name)
  const there = await lookAt(repository, manifestName(reference), signal)
  if (!there && noted.length === 0) throw notFound(where, reference)
  const survey = await surveyTags(repository, signal)
  const options = { repository, where, noted, signal }
  const wanted = there ? await wantedOf(request, { there, survey, repository, signal }) : NOTHING
  const plan = await planRemoval(wanted, survey, options)
  if (reference.digest !== undefined && there) await checkFree(there, { ...plan, ...options, survey })
  const { digest } = there ?? noted[0] ?? { digest: '' as const }
  return { ...plan, named: { reference: where, digest } }
}

const NOTHING: Wanted = { tags: new Map() }

async function wantedOf(
  { reference: { tag = '', digest }, architectures }: DeleteRequest,
  {
    there,
    survey,
    repository,
    signal,
  }: { there: Named; survey: Survey | AppError; repository: Repository; signal: AbortSignal },
): Promise<Wanted> {
  if (digest === undefined) {
    const cut = architectures && (await cutIndex(repository, { tag, architectures, signal }))
    return { tags: new Map(cut ? [] : [[tag, 'it was asked for']]), cut }
  }
  const raw = await repository.getManifest(digest, { signal })
  const subject = raw && subjectOf(raw)
  const list = subject && referrersTag(subject)
  if (list === undefined || survey instanceof AppError || !survey.has(list)) return { ...NOTHING, manifests: [there] }
  const cut = await cutList(repository, { tag: list, digest, signal })
  const isWhole = cut?.left.length === 0
  return {
    tags: new Map(isWhole ? [[list, 'it lists nothing else']] : []),
    cut: isWhole ? undefined : cut,
    manifests: [there],
  }
}

interface FreeOptions {
  decision: Decision | undefined
  repository: Repository
  where: string
  survey: Survey | AppError
  signal: AbortSignal
}

/** Throws MANIFEST_IN_USE with the tags that lead to it; what is wrong with the list of tags, where they cannot be known. */
async function checkFree({ digest }: Named, options: FreeOptions): Promise<void> {
  const { decision, survey, where } = options
  if (survey instanceof AppError) throw survey
  if (!decision?.living.has(digest)) return
  const tags = await tagsOf(digest, { ...options, survey })
  const referrer = decision.pinned.get(digest)
  const by = tags.length > 0 ? `the tags ${tags.join(', ')} lead to it` : `${referrer ?? 'something'} refers to it`
  throw new AppError('MANIFEST_IN_USE', `${where} stays: ${by}`, {
    hint: 'Delete these tags, or the architecture of their index; the manifest goes with the last of them.',
    details: { digest, tags },
  })
}

const MOST_TOLD = 20

async function tagsOf(
  digest: Digest,
  { survey, ...options }: Omit<FreeOptions, 'survey'> & { survey: Survey },
): Promise<readonly string[]> {
  const graph = createGraph(options)
  const found: string[] = []
  for (const [tag, named] of survey) {
    if (found.length < MOST_TOLD && (await graph.closure([named])).includes(digest)) found.push(tag)
  }
  return found
}

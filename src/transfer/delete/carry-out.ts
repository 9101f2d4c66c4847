import type { Digest } from '../../content/digest.ts'
import type { RawManifest } from '../../content/manifest.ts'
import { AppError } from '../../lib/errors.ts'
import type { Repository } from '../../oci/registry.ts'
import { type Decision, decide, type Going } from './decide.ts'
import { createGraph } from './graph.ts'
import { forGood, removeManifests } from './manifest-removal.ts'
import type { DeleteDependencies, KeptItem, RemovedItem } from './request.ts'
import { entriesOf, type IndexCut, writeCut } from './rewrite.ts'
import { type Survey, surveyTags } from './survey.ts'
import { createTagRemover } from './tag-removal.ts'

/** What is to be done, and what it takes along. */
export interface RemovalPlan {
  readonly repository: Repository
  readonly where: string
  /** Undefined: what tags refer to is not known, so that their manifests stay. */
  readonly survey: Survey | undefined
  readonly tags: Decision['tags']
  readonly manifests: readonly Digest[]
  readonly kept: readonly KeptItem[]
  readonly problems: readonly AppError[]
  /** Of an index that is written anew. */
  readonly cut: IndexCut | undefined
}

export interface CarriedOut {
  readonly removed: readonly RemovedItem[]
  readonly kept: readonly KeptItem[]
  readonly problems: readonly AppError[]
}

/** All of a plan, in the order in which it is done. */
export function itemsOf({ cut, tags, manifests }: Pick<RemovalPlan, 'cut' | 'tags' | 'manifests'>): RemovedItem[] {
  return [
    ...(cut ? entriesOf(cut) : []),
    ...[...tags].map(([tag, { digest, why }]) => ({ kind: 'tag' as const, tag, digest, why })),
    ...manifests.map((digest) => ({ kind: 'manifest' as const, digest, why: NOBODY })),
  ]
}

export const NOBODY = 'nothing refers to it any more'

/**
 * Does what is planned: indexes are written anew, tags go, each under its lock, then, after a second look at all tags, the
 * manifests, those first that name others; a third look puts back what somebody came to refer to meanwhile. Where a tag cannot go
 * for good that is a problem, and the others go. Throws what passes by; with the first tag what the registry never does.
 */
export async function carryOut(plan: RemovalPlan, dependencies: DeleteDependencies): Promise<CarriedOut> {
  const { repository } = plan
  const removed: RemovedItem[] = []
  const done: Done = (item, byUs) => {
    removed.push(item)
    if (byUs) dependencies.onRemoved?.(item)
    const message = `${byUs ? 'deleted' : 'gone already'}: ${toldItem(item)}, ${item.why}`
    dependencies.onEvent({ type: 'log', level: 'info', message })
  }
  if (plan.cut && (await writeCut(plan.cut, repository, dependencies))) {
    for (const entry of entriesOf(plan.cut)) done(entry, true)
  }
  const tags = await removeTags(plan, done, dependencies)
  const manifests = plan.survey === undefined ? NOTHING : await removeLeft(plan, done, dependencies)
  const restored = await restore(manifests.removed, { ...plan, repository }, dependencies)
  return {
    removed: removed.filter(({ kind, digest }) => kind !== 'manifest' || !restored.has(digest)),
    kept: [
      ...plan.kept,
      ...tags.kept,
      ...manifests.left.map((digest) => ({ digest, why: 'the registry did not delete it' })),
      ...[...restored].map((digest) => ({ digest, why: 'somebody came to refer to it, so it was put back' })),
    ],
    problems: [...plan.problems, ...tags.problems, ...manifests.problems],
  }
}

/** `byUs`: this run did it; else it was gone. */
type Done = (item: RemovedItem, byUs: boolean) => void

const NOTHING = { removed: new Map<Digest, RawManifest | undefined>(), left: [], problems: [] }

/** As people read it. */
export function toldItem({ kind, tag = '', digest, architecture = '' }: RemovedItem): string {
  if (kind === 'tag') return `the tag ${tag} (${digest})`
  if (kind === 'manifest') return `the manifest ${digest}`
  return `${architecture === '' ? 'an entry' : architecture} of ${tag} (${digest})`
}

async function removeTags(
  { repository, tags }: RemovalPlan,
  done: Done,
  dependencies: DeleteDependencies,
): Promise<{ kept: KeptItem[]; problems: AppError[] }> {
  const remover = createTagRemover(repository, dependencies)
  const kept: KeptItem[] = []
  const problems: AppError[] = []
  for (const [tag, { digest, why }] of tags) {
    try {
      const removal = await remover.remove(tag, digest)
      if (typeof removal === 'string') done({ kind: 'tag', tag, digest, why }, removal === 'removed')
      else kept.push({ tag, digest: removal.changed, why: 'something else was published under it meanwhile' })
    } catch (error) {
      const problem = forGood(error)
      if (problem.code === 'REGISTRY_DELETE_UNSUPPORTED' || tags.size === 1) throw problem
      problems.push(problem)
      kept.push({ tag, digest, why: problem.message })
    }
  }
  return { kept, problems }
}

/** What nothing refers to now: since the first look somebody may have published something that does. */
async function removeLeft(
  plan: RemovalPlan,
  done: Done,
  dependencies: DeleteDependencies,
): Promise<Awaited<ReturnType<typeof removeManifests>>> {
  const { repository, where, manifests } = plan
  if (manifests.length === 0) return NOTHING
  const { signal } = dependencies
  const survey = known(await surveyTags(repository, signal))
  const going: Going = {
    tags: new Map(),
    rewritten: new Map(),
    manifests: manifests.map((digest) => ({ digest, mediaType: undefined })),
  }
  const decision = await decide(survey, going, {
    repository,
    graph: createGraph({ repository, where, signal }),
    signal,
  })
  const still = manifests.filter((digest) => !decision.living.has(digest))
  const onGone = (digest: Digest, byUs: boolean): void => {
    done({ kind: 'manifest', digest, why: NOBODY }, byUs)
    dependencies.onEvent({ type: 'complete', digest })
  }
  return await removeManifests(still, { repository, survey, onGone }, dependencies)
}

/** Puts back what is referred to by now, what others name first. */
async function restore(
  removed: ReadonlyMap<Digest, RawManifest | undefined>,
  { repository, where }: RemovalPlan,
  dependencies: DeleteDependencies,
): Promise<ReadonlySet<Digest>> {
  const restored = new Set<Digest>()
  if (![...removed.values()].some((raw) => raw !== undefined)) return restored
  const { signal, onEvent } = dependencies
  const survey = known(await surveyTags(repository, signal))
  const seed = [...removed.values()].filter((raw) => raw !== undefined)
  const living = new Set(await createGraph({ repository, where, signal, seed }).closure(survey.values()))
  for (const [digest, raw] of [...removed].toReversed()) {
    if (!raw || !living.has(digest)) continue
    await repository.putManifest(digest, raw, { signal, guard: () => dependencies.checkOwnership() })
    restored.add(digest)
    const message = `${digest} was referred to again while it was deleted: it was put back`
    onEvent({ type: 'warning', code: 'MANIFEST_RESTORED', message })
  }
  return restored
}

function known(survey: Survey | AppError): Survey {
  if (survey instanceof AppError) throw survey
  return survey
}

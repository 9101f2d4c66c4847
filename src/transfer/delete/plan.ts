import type { Digest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import type { Repository } from '../../oci/registry.ts'
import type { OnEvent } from '../events.ts'
import { itemsOf, type RemovalPlan } from './carry-out.ts'
import { type Decision, decide, type Going } from './decide.ts'
import { createGraph } from './graph.ts'
import type { DeleteDependencies, KeptItem, RemovalOutcome, RemovedItem } from './request.ts'
import type { IndexCut } from './rewrite.ts'
import { lookAt, type Named, type Survey } from './survey.ts'
import { isPlaceholder } from './tag-removal.ts'

/** What somebody wants gone. */
export interface Wanted {
  /** Tags, with why. */
  readonly tags: ReadonlyMap<string, string>
  readonly cut?: IndexCut | undefined
  readonly manifests?: readonly Named[]
  readonly kept?: readonly KeptItem[]
}

export interface PlanOptions {
  readonly repository: Repository
  readonly where: string
  /** What earlier runs of the job were about to remove. */
  readonly noted: readonly RemovedItem[]
  readonly signal: AbortSignal
}

/** Looks at all tags, and works out what goes along. Where tags can't be listed, tags alone go. */
export async function planRemoval(
  wanted: Wanted,
  survey: Survey | AppError,
  options: PlanOptions,
): Promise<RemovalPlan & { decision: Decision | undefined }> {
  const { repository, where, noted, signal } = options
  const { cut, manifests = [] } = wanted
  const { tags, kept } = await withoutRepublished(wanted, options)
  const common = { repository, where, cut, kept: [...(wanted.kept ?? []), ...kept] }
  if (survey instanceof AppError) {
    const found = new Map<string, { digest: Digest; why: string }>()
    for (const [tag, why] of tags) {
      const named = await lookAt(repository, tag, signal)
      if (named) found.set(tag, { digest: named.digest, why })
    }
    return { ...common, survey: undefined, tags: found, manifests: [], problems: [survey], decision: undefined }
  }
  const left = noted.map(({ digest }) => ({ digest, mediaType: undefined }))
  const going: Going = {
    tags,
    rewritten: cut ? new Map([[cut.tag, cut.left]]) : new Map(),
    manifests: [...manifests, ...(cut?.gone ?? []), ...left],
  }
  const decision = await decide(survey, going, { repository, graph: createGraph(options), signal })
  const stays = stayingOf(survey, going, decision)
  const plan = { ...common, survey, tags: decision.tags, manifests: decision.manifests, problems: [], decision }
  return { ...plan, kept: [...common.kept, ...stays] }
}

const MOST_TOLD = 5

/** What one would think goes along, and why it does not. */
function stayingOf(survey: Survey, { manifests }: Going, { tags, living, pinned }: Decision): KeptItem[] {
  const going = new Set([...[...tags.values()].map(({ digest }) => digest), ...manifests.map(({ digest }) => digest)])
  const staying = [...survey].filter(([tag]) => !tags.has(tag))
  const named = [...going].filter((digest) => living.has(digest) && !pinned.has(digest))
  const why = (digest: Digest): string => {
    const by = staying.flatMap(([tag, there]) => (there.digest === digest ? [tag] : []))
    return by.length === 0 ? 'what stays refers to it' : `it lies under ${by.slice(0, MOST_TOLD).join(', ')} too`
  }
  return [
    ...named.map((digest) => ({ digest, why: why(digest) })),
    ...[...pinned].map(([digest, referrer]) => ({ digest, why: `${referrer} refers to it, and stays` })),
  ]
}

/** What came under a tag after an earlier run had begun stays: nobody asked for that. */
async function withoutRepublished(
  { tags }: Wanted,
  { repository, noted, signal }: PlanOptions,
): Promise<{ tags: ReadonlyMap<string, string>; kept: readonly KeptItem[] }> {
  const kept: KeptItem[] = []
  for (const { kind, tag, digest } of noted) {
    if (kind !== 'tag' || tag === undefined || !tags.has(tag)) continue
    const there = await lookAt(repository, tag, signal)
    if (!there || there.digest === digest || (await isPlaceholder(repository, there.digest, signal))) continue
    kept.push({ tag, digest: there.digest, why: 'something else was published under it meanwhile' })
  }
  const changed = new Set(kept.map(({ tag }) => tag))
  return { tags: new Map([...tags].filter(([tag]) => !changed.has(tag))), kept }
}

/** Keeps what is about to go, and tells of it: one row a digest. */
export async function announce(plan: RemovalPlan, { notes, onEvent }: DeleteDependencies): Promise<void> {
  const items = itemsOf(plan)
  await notes?.save(items)
  const rows = new Map(items.toReversed().map((item) => [item.digest, item]))
  onEvent({ type: 'plan', layers: rows.size, bytes: 0 })
  for (const { digest, kind, tag } of rows.values()) {
    const title = kind === 'tag' ? `tag ${tag}` : kind === 'entry' ? `entry of ${tag}` : 'manifest'
    onEvent({ type: 'transfer', digest, title, mediaType: '', size: 0 })
  }
  onEvent({ type: 'phase', phase: 'committing' })
}

/** Each row comes to its end. */
export function closeRows(plan: RemovalPlan, removed: readonly RemovedItem[], onEvent: OnEvent): void {
  const gone = new Set(removed.map(({ digest }) => digest))
  const told = new Set(plan.manifests.filter((digest) => gone.has(digest)))
  for (const { digest } of itemsOf(plan)) {
    if (told.has(digest)) continue
    told.add(digest)
    onEvent({ type: gone.has(digest) ? 'complete' : 'exists', digest })
  }
}

/** What would be done. */
export function plannedOutcome(
  plan: RemovalPlan,
  { reference, digest }: Pick<RemovalOutcome, 'reference' | 'digest'>,
): RemovalOutcome {
  const { kept, problems } = plan
  return { reference, digest, removed: itemsOf(plan), kept, problems }
}

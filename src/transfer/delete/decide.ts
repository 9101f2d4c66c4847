import type { Digest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import { referrersTag, subjectTag } from '../../oci/manifests/referrers.ts'
import type { Repository } from '../../oci/registry.ts'
import type { Graph } from './graph.ts'
import type { Named, Survey } from './survey.ts'

/** What is to go, before it is known what that takes along. */
export interface Going {
  /** Tags, with why. */
  readonly tags: ReadonlyMap<string, string>
  /** Tags whose index is written anew, and what that names then. */
  readonly rewritten: ReadonlyMap<string, readonly Named[]>
  /** Manifests beside those that lie under these tags. */
  readonly manifests: readonly Named[]
}

export interface Decision {
  /** Tags that go: those that were named, and those that clients keep for a manifest that goes. */
  readonly tags: ReadonlyMap<string, { readonly digest: Digest; readonly why: string }>
  /** Nothing refers to these once the tags are gone; those that name others before those. */
  readonly manifests: readonly Digest[]
  /** All that what stays refers to. */
  readonly living: ReadonlySet<Digest>
  /** Manifests that stay because one that stays refers to them by its `subject`. */
  readonly pinned: ReadonlyMap<Digest, Digest>
}

export interface DecideOptions {
  readonly repository: Pick<Repository, 'referrers'>
  readonly graph: Graph
  readonly signal: AbortSignal
}

/**
 * What goes along with what is to go: manifests that no tag leads to then, what refers to them (signatures, attestations, SBOMs),
 * and the tags under which clients keep such things. A manifest stays for as long as anything leads to it that stays, by name or by
 * its `subject`.
 */
export async function decide(survey: Survey, going: Going, options: DecideOptions): Promise<Decision> {
  const referrers = referrersOf(options)
  const pinned = new Map<Digest, Digest>()
  for (;;) {
    const found = await follow(survey, going, { ...options, pinned, referrers })
    if ('decision' in found) return found.decision
    pinned.set(found.subject, found.referrer)
  }
}

/** What refers to what refers to it may go on without end. */
const MAX_MANIFESTS = 5000

function tooMany(): AppError {
  return new AppError('MANIFEST_TOO_LARGE', `more than ${MAX_MANIFESTS} manifests would go along`, {
    hint: 'Delete fewer tags at a time.',
  })
}

type Pinned = { readonly subject: Digest; readonly referrer: Digest }
type Follow = DecideOptions & {
  readonly pinned: ReadonlyMap<Digest, Digest>
  readonly referrers: (subject: Digest) => Promise<readonly Named[]>
}

/** To the end, or to a manifest that has to stay: then anew with that one. */
async function follow(
  survey: Survey,
  going: Going,
  { graph, pinned, referrers }: Follow,
): Promise<{ decision: Decision } | Pinned> {
  const tags = new Map<string, { digest: Digest; why: string }>()
  const goers: Named[] = [...going.manifests]
  const leave = (tag: string, why: string): void => {
    const named = survey.get(tag)
    if (!named || tags.has(tag)) return
    tags.set(tag, { digest: named.digest, why })
    goers.push(named)
  }
  for (const [tag, why] of going.tags) leave(tag, why)
  for (const tag of going.rewritten.keys()) goers.push(...namedUnder(survey, tag))
  const kept = keptByClients(survey)
  const asked = new Set<Digest>()
  for (;;) {
    const living = new Set(await graph.closure(roots(survey, { tags, going, pinned })))
    const manifests = (await graph.closure(goers)).filter((digest) => !living.has(digest))
    if (manifests.length > MAX_MANIFESTS) throw tooMany()
    const before = tags.size
    for (const digest of manifests) {
      for (const tag of kept.get(referrersTag(digest)) ?? []) leave(tag, `it is kept for ${digest}, which goes`)
    }
    if (tags.size > before) continue
    const fresh = manifests.filter((digest) => !asked.has(digest))
    if (fresh.length === 0) return { decision: { tags, manifests, living, pinned } }
    for (const subject of fresh) {
      asked.add(subject)
      const found = await referrers(subject)
      const staying = found.find(({ digest }) => living.has(digest))
      if (staying) return { subject, referrer: staying.digest }
      goers.push(...found)
    }
  }
}

/** Where all that stays begins. */
function roots(
  survey: Survey,
  { tags, going, pinned }: { tags: ReadonlyMap<string, unknown>; going: Going; pinned: ReadonlyMap<Digest, Digest> },
): Named[] {
  const staying = [...survey].filter(([tag]) => !tags.has(tag) && !going.rewritten.has(tag)).map(([, named]) => named)
  const left = [...going.rewritten].flatMap(([tag, entries]) => (tags.has(tag) ? [] : entries))
  return [...staying, ...left, ...[...pinned.keys()].map((digest) => ({ digest, mediaType: undefined }))]
}

function namedUnder(survey: Survey, tag: string): readonly Named[] {
  const named = survey.get(tag)
  return named ? [named] : []
}

/** Tags that clients keep for a manifest, by what their names begin with. */
function keptByClients(survey: Survey): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const tag of survey.keys()) {
    const subject = subjectTag(tag)
    if (subject !== undefined) found.set(subject, [...(found.get(subject) ?? []), tag])
  }
  return found
}

function referrersOf({ repository, signal }: DecideOptions): Follow['referrers'] {
  const known = new Map<Digest, readonly Named[]>()
  return async (subject) => {
    const found = known.get(subject) ?? (await repository.referrers(subject, { signal })).referrers
    known.set(subject, found)
    return found
  }
}

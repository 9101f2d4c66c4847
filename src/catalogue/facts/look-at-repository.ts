import type { Digest } from '../../content/digest.ts'
import { formatReference, isTag } from '../../content/reference.ts'
import type { CatalogueProblem, CatalogueTag } from '../../jobs/model/catalogue.ts'
import { forEachConcurrent } from '../../lib/concurrent.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { Repository } from '../../oci/registry.ts'
import { compareVersions } from '../versions.ts'
import { readTagFacts, type TagFacts } from './tag-facts.ts'

export interface LookedAt {
  /** Undefined where the repository has no tags any more, or never had. */
  readonly tags: readonly CatalogueTag[] | undefined
  readonly problems: readonly CatalogueProblem[]
  /** Tags beyond those that are looked at. */
  readonly more: number
}

export interface LookOptions {
  repository: Repository
  /** What is known of it: a tag whose digest is the same is asked for nothing more. */
  known: readonly CatalogueTag[]
  /** Tags that are looked at, the highest. */
  mostTags: number
  signal: AbortSignal
}

const AT_ONCE = 4

/**
 * All tags of a repository, and what they are: a HEAD for each that is known, a look into each that is new or another by
 * now. What cannot be looked into stays as it is known. Throws what listing its tags throws.
 */
export async function lookAtRepository({ repository, known, mostTags, signal }: LookOptions): Promise<LookedAt> {
  const listed = await repository.tags({ signal })
  const signatures = new Set(listed.flatMap((tag) => SIGNATURE.exec(tag)?.[1] ?? []))
  await nextTurn()
  const tags = listed.filter((tag) => isTag(tag) && !BESIDE.test(tag)).toSorted(compareVersions)
  await nextTurn()
  if (tags.length === 0) return { tags: undefined, problems: [], more: 0 }
  const before = new Map(known.map((one) => [one.tag, one]))
  const byDigest = new Map<Digest, TagFacts>(known.map((one) => [one.digest, one]))
  const found = new Map<string, TagFacts>()
  const problems: CatalogueProblem[] = []
  await forEachConcurrent(tags.slice(0, mostTags), { limit: AT_ONCE, signal }, async (tag, stop) => {
    const was = before.get(tag)
    try {
      found.set(tag, await lookAtTag(tag, { repository, was, byDigest, signal: stop }))
    } catch (error) {
      stop.throwIfAborted()
      if (!isAppError(error)) throw error
      problems.push({ repository: repository.repository, tag, code: error.code, detail: error.message })
      if (was) found.set(tag, was)
    }
  })
  return {
    tags: [...found].map(([tag, facts]) => ({ ...facts, tag, signed: isSigned(facts, signatures) })),
    problems,
    more: Math.max(0, tags.length - mostTags),
  }
}

/** cosign's tags for what belongs to a manifest, and OCI's for its referrers. Source: cosign SIGNATURE_SPEC.md; oci-client.md F2. */
const BESIDE = /^sha256-[a-f0-9]{64}(?:\.(?:sig|att|sbom))?$/
const SIGNATURE = /^sha256-([a-f0-9]{64})\.sig$/

interface Look {
  repository: Repository
  was: CatalogueTag | undefined
  byDigest: Map<Digest, TagFacts>
  signal: AbortSignal
}

async function lookAtTag(tag: string, { repository, was, byDigest, signal }: Look): Promise<TagFacts> {
  const head = was && (await repository.headManifest(tag, { signal }))
  const named = head?.digest
  if (named !== undefined && byDigest.has(named)) return sameContent(byDigest.get(named) as TagFacts, tag, was)
  const { registry, repository: path } = repository
  const where = formatReference({ registry, repository: path, tag })
  const raw = await repository.getManifest(named ?? tag, { signal })
  if (!raw) throw new AppError('MANIFEST_NOT_FOUND', `there is no ${where} any more`)
  const same = byDigest.get(raw.digest)
  if (same) return sameContent(same, tag, was)
  const facts = await readTagFacts(raw, { repository, where, tag, signal })
  byDigest.set(raw.digest, facts)
  return facts
}

/** Of an image that does not tell its version, that is its tag. */
function sameContent(facts: TagFacts, tag: string, was: CatalogueTag | undefined): TagFacts {
  if (was?.digest === facts.digest) return was
  const named = facts.kind === 'image' || facts.kind === 'other'
  return named && /^v?\d/.test(tag) ? { ...facts, version: tag } : facts
}

/** Packages carry their signature, and may have one beside them as all may. */
function isSigned({ digest, architectures }: TagFacts, signatures: ReadonlySet<string>): boolean | null {
  const digests = [digest, ...architectures.map((one) => one.digest)]
  if (digests.some((one) => signatures.has(one.slice('sha256:'.length)))) return true
  const own = architectures.map(({ signed }) => signed).filter((signed) => signed !== null)
  return own.length === 0 ? null : own.every(Boolean)
}

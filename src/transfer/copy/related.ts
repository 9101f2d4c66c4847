import type { Digest } from '../../content/digest.ts'
import type { RawManifest } from '../../content/manifest.ts'
import { forEachConcurrent } from '../../lib/concurrent.ts'
import { isAppError } from '../../lib/errors.ts'
import { referrersTag } from '../../oci/manifests/referrers.ts'
import type { Repository } from '../../oci/registry.ts'
import type { OnEvent } from '../events.ts'
import type { ManifestTree } from './tree.ts'

/** What goes along with manifests: signatures, attestations, SBOMs. */
export interface Related {
  /** By `subject`. */
  readonly referrers: ReadonlyArray<{ readonly raw: RawManifest; readonly subject: Digest }>
  /** By a name made of a digest, as cosign keeps them. */
  readonly tags: ReadonlyArray<{ readonly raw: RawManifest; readonly tag: string }>
}

export interface RelatedOptions {
  source: Repository
  /** All that is found is added to it. */
  tree: ManifestTree
  onEvent: OnEvent
  signal: AbortSignal
}

/** Signatures of attestations of signatures end somewhere. */
const MAX_DEPTH = 3
const AT_ONCE = 4
/** Source: cosign specs/SIGNATURE_SPEC.md; ATTESTATION and SBOM specs name theirs alike. */
const COSIGN = ['.sig', '.att', '.sbom']

/**
 * Finds what goes along with these manifests in the source, and with what was found. One that is listed and gone is
 * warned of and left out.
 */
export async function findRelated(subjects: readonly Digest[], options: RelatedOptions): Promise<Related> {
  const referrers: Array<Related['referrers'][number]> = []
  const tags: Array<Related['tags'][number]> = []
  const tagsOf = await tagLookUp(options)
  const seen = new Set<Digest>(subjects)
  let next = [...subjects]
  for (let depth = 0; depth < MAX_DEPTH && next.length > 0; depth += 1) {
    const found: Array<{ raw: RawManifest; subject?: Digest }> = []
    await forEachConcurrent(next, { limit: AT_ONCE, signal: options.signal }, async (subject) => {
      for (const raw of await referrersOf(subject, options)) found.push({ raw, subject })
      for (const { tag, raw } of await tagsOf(subject)) {
        tags.push({ tag, raw })
        found.push({ raw })
      }
    })
    next = []
    for (const { raw, subject } of found) {
      if (subject !== undefined) referrers.push({ raw, subject })
      if (!seen.has(raw.digest)) next.push(raw.digest)
      seen.add(raw.digest)
    }
  }
  return { referrers, tags }
}

async function referrersOf(
  subject: Digest,
  { source, tree, onEvent, signal }: RelatedOptions,
): Promise<readonly RawManifest[]> {
  const { referrers } = await source.referrers(subject, { signal })
  const found: RawManifest[] = []
  for (const referrer of referrers) {
    try {
      found.push((await tree.add(referrer)).raw)
    } catch (error) {
      if (!isAppError(error) || error.code !== 'MANIFEST_NOT_FOUND') throw error
      const message = `${referrer.digest}, which should refer to ${subject}, is gone from ${source.registry}: it is not copied`
      onEvent({ type: 'warning', code: 'REFERRER_GONE', message })
    }
  }
  return found
}

/** One list of the tags is less than three requests for each manifest; not everybody may read it. */
async function tagLookUp({
  source,
  tree,
  signal,
}: RelatedOptions): Promise<(subject: Digest) => Promise<Related['tags']>> {
  const listed = await source.tags({ signal }).catch((error: unknown) => {
    if (!isAppError(error) || error.retry !== 'permanent') throw error
  })
  const known = listed && new Set(listed)
  return async (subject) => {
    const found: Array<Related['tags'][number]> = []
    for (const tag of COSIGN.map((end) => `${referrersTag(subject)}${end}`)) {
      if (known && !known.has(tag)) continue
      const raw = await source.getManifest(tag, { signal })
      if (raw) found.push({ tag, raw: (await tree.take(raw)).raw })
    }
    return found
  }
}

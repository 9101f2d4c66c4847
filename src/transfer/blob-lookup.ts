import type { Digest } from '../content/digest.ts'
import { createLimiter } from '../lib/limiter.ts'
import type { Repository } from '../oci/registry.ts'

type Found = { size: number | null } | undefined

/** Asks a repository which blobs it holds, ahead of need, each once. */
export interface BlobLookup {
  /** Starts asking for these, in order, a few at a time. */
  prefetch(digests: readonly Digest[]): void
  stat(digest: Digest): Promise<Found>
}

export function createBlobLookup(
  repository: Repository,
  options: { signal: AbortSignal; concurrency: number },
): BlobLookup {
  const { signal } = options
  const limiter = createLimiter(options.concurrency)
  const asked = new Map<Digest, Promise<Found>>()
  const stat = (digest: Digest): Promise<Found> => {
    const known = asked.get(digest)
    if (known) return known
    const answer = limiter.run(() => repository.stat(digest, { signal }), signal)
    asked.set(digest, answer)
    return answer
  }
  return {
    stat,
    prefetch(digests) {
      // A failure is told to whoever needs the answer; nobody may.
      for (const digest of digests) stat(digest).catch(() => undefined)
    },
  }
}

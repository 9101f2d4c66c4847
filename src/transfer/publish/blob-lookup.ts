import type { Digest } from '../../content/digest.ts'
import type { Repository } from '../../oci/registry.ts'

type Found = { size: number | null } | undefined

/** Asks a repository which blobs it holds, ahead of need, each once. */
export interface BlobLookup {
  /** Starts asking for these, in order, a few at a time, for as long as pushes don't find out by themselves. */
  prefetch(digests: Iterable<Digest>): void
  /** Whether it has been asked for. */
  knows(digest: Digest): boolean
  stat(digest: Digest): Promise<Found>
}

export interface BlobLookupOptions {
  signal: AbortSignal
  concurrency: number
  /** Nobody will need the answer any more. */
  isPast: (digest: Digest) => boolean
}

export function createBlobLookup(
  repository: Pick<Repository, 'stat' | 'findsOnPush'>,
  options: BlobLookupOptions,
): BlobLookup {
  const { signal, concurrency, isPast } = options
  const asked = new Map<Digest, Promise<Found>>()
  let ahead: Iterator<Digest> = [].values()
  let running = 0

  const stat = (digest: Digest): Promise<Found> => {
    const known = asked.get(digest)
    if (known) return known
    running += 1
    const answer = repository.stat(digest, { signal }).finally(() => {
      running -= 1
      goOn()
    })
    asked.set(digest, answer)
    return answer
  }
  const mayAsk = (): boolean => running < concurrency && !signal.aborted && !repository.findsOnPush(0)
  const goOn = (): void => {
    while (mayAsk()) {
      const next = ahead.next()
      if (next.done === true) return
      // A failure is told to whoever needs the answer; nobody may.
      if (!isPast(next.value)) stat(next.value).catch(() => undefined)
    }
  }
  return {
    stat,
    knows: (digest) => asked.has(digest),
    prefetch(digests) {
      ahead = digests[Symbol.iterator]()
      goOn()
    },
  }
}

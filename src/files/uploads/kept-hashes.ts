import type { Hash } from 'node:crypto'

const MOST = 1000

/**
 * Hashes of what has come of uploads, so that nobody reads it again when the rest comes. One counts where it left off alone: what is
 * there up to a byte never changes, and who went on elsewhere is further by then.
 */
export class KeptHashes {
  readonly #hashes = new Map<string, { hash: Hash; offset: number }>()

  /** The hash of the first `offset` bytes, which is the caller's from now on. */
  take(id: string, offset: number): Hash | undefined {
    const kept = this.#hashes.get(id)
    this.#hashes.delete(id)
    return kept?.offset === offset ? kept.hash : undefined
  }

  /** Forgets the oldest where there are too many. */
  keep(id: string, offset: number, hash: Hash | undefined): void {
    if (!hash) return
    this.#hashes.set(id, { hash, offset })
    const [oldest] = this.#hashes.keys()
    if (this.#hashes.size > MOST && oldest !== undefined) this.#hashes.delete(oldest)
  }

  forget(id: string): void {
    this.#hashes.delete(id)
  }
}

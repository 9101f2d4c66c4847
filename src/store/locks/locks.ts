import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'

export interface LockOptions {
  signal?: AbortSignal
  /** Called while somebody else holds the lock, about five times a second. */
  onWait?: () => Promise<void>
}

/** `sweep`: takes away what dead owners left, for which the caller has `exclusive`. Default true. */
export interface LeasedOptions {
  sweep?: boolean
}

/** Blobs that must stay, and room that must stay free for those not there yet, until disposed. */
export interface Lease extends AsyncDisposable {
  readonly id: string
}

/** A file outside the store that grows to so many bytes. */
export interface HeldFile {
  readonly path: string
  readonly bytes: number
}

/** Room that must stay free for what a file still lacks, until disposed. */
export interface Hold extends AsyncDisposable {
  /** It grows to `bytes` in all. The caller has `exclusive`. */
  resize(bytes: number): Promise<void>
}

/**
 * What the processes of one store keep each other from doing at the same time. Whatever is held ends when it is disposed, or
 * with its process, in whatever way that ends.
 */
export interface StoreLocks {
  /** For changes of records, index and leases, and for collections: waits until nobody else has it. */
  exclusive(): Promise<AsyncDisposable>
  /** The right to bring in one blob from one place, at once or not at all. `ingest` is its name (StoreLayout). */
  tryIngest(ingest: string): Promise<AsyncDisposable | undefined>
  /** The same, once who has it lets go or is gone. */
  ingest(ingest: string, options?: LockOptions): Promise<AsyncDisposable>
  /** Whether somebody has that right. */
  isIngesting(ingest: string): Promise<boolean>
  /** Leases blobs. The caller has `exclusive`, so that a collection sees it or has ended before. */
  lease(blobs: readonly Descriptor[]): Promise<Lease>
  /** Every leased blob with its size. Two pulls of one package lease its blobs once. */
  leased(options?: LeasedOptions): Promise<ReadonlyMap<Digest, number>>
  /** Keeps room for a file outside the store. The caller has `exclusive`. */
  hold(file: HeldFile): Promise<Hold>
  /** Every file that room is kept for. */
  held(options?: LeasedOptions): Promise<readonly HeldFile[]>
  /** Says that this process works on the store. Throws STORE_BUSY during a repair. */
  join(): Promise<AsyncDisposable>
  /** Keeps every other process out. Throws STORE_BUSY, naming those that are in. */
  repair(): Promise<AsyncDisposable>
  /** Takes away what is left of those that died. The caller has `exclusive`. */
  sweep(): Promise<void>
}

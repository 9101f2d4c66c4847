import type { AppError } from '../lib/errors.ts'
import type { Descriptor } from './descriptor.ts'

/**
 * The seam of the transfer engine: a package, a registry repository and the content store are all ends of one copy.
 *
 * Buffers: a chunk of 64 KiB or more may lie in memory that the source reuses or gives back; it stays as it is until the
 * consumer has asked for three more. Smaller chunks are never reused (they sit in a socket's queue; performance.md 8).
 */
export type ByteStream = AsyncIterable<Buffer>

/** Below this a chunk is its consumer's own. */
export const OWN_BELOW_BYTES = 64 * 1024

export interface OpenOptions {
  /** First byte wanted, default 0; never the blob's size. */
  offset?: number
  /** First byte not wanted any more, default the blob's size; for sources with `ranges`. Throws RangeIgnored. */
  end?: number
  signal: AbortSignal
  /**
   * Told of each wait before the source goes on after a passing fault; what it throws ends the stream instead. Sources that
   * cannot have one never call it.
   */
  onRetry?: (error: AppError, attempt: number, retryAt: number) => void
}

/** A factory of streams, so that every retry can reopen the blob, also from an offset. Bytes are not verified here. */
export type BlobOpener = (options: OpenOptions) => Promise<ByteStream>

export interface ContentSource {
  /** Whether a blob may be read in several ranges at once, as far as is known by now. Default no. */
  readonly ranges?: boolean
  open(descriptor: Descriptor, options: OpenOptions): Promise<ByteStream>
}

/** What a push tells while it runs. Called synchronously and never awaited. */
export type PushEvent =
  /** A session begins (offset 0) or goes on where the far end stands; bytes before `offset` are already there. */
  | { type: 'started'; offset: number }
  /**
   * Bytes up to `offset` of the blob were handed to the socket or the disk; `wire` of them since the last event. A few KiB
   * that go out in one write are told once they were answered.
   */
  | { type: 'bytes'; offset: number; wire: number }
  /** All bytes are handed over; the far end checks and commits. */
  | { type: 'verifying' }
  /** A transient fault; the next try starts at `retryAt` (ms since the epoch). */
  | { type: 'retrying'; error: AppError; attempt: number; retryAt: number }
  /** The registry linked it from another repository, which is undefined when it found that by itself. */
  | { type: 'mounted'; from: string | undefined }
  /** The far end lost what it had, or what came was wrong: the blob begins again from its first byte. `message` says where and why. */
  | { type: 'restarted'; message: string }
  /** Somebody else brings the same blob to the same place and stands at `offset`; this push waits for it. */
  | { type: 'followed'; offset: number }
  /** It is there in full, be it that somebody else has brought it: nothing (more) is sent. */
  | { type: 'exists' }

/** `denied`: the caller may read nothing there. */
export type MountAnswer = 'mounted' | 'refused' | 'denied'

/** A repository of the sink's registry that may hold the blob; undefined leaves it to the registry to find one. */
export interface MountCandidate {
  readonly repository: string | undefined
  answered?(answer: MountAnswer): void
}

/** How wrong bytes are reported; the default errors name the descriptor's title or digest. */
export interface VerifyOptions {
  /** What the caller calls this content in errors. Default: title, else digest. */
  name?: string
  /** Builds the error for wrong bytes; default DIGEST_MISMATCH. */
  mismatch?: (found: string) => AppError
  /** Builds the error for a wrong count of bytes; default SIZE_MISMATCH. */
  wrongSize?: (found: number, more: boolean) => AppError
}

export interface PushOptions {
  signal: AbortSignal
  onEvent?: (event: PushEvent) => void
  /** How errors about wrong bytes name the content. */
  verify?: VerifyOptions
  /** Asked in order before anything is sent, by a sink that can link content it has elsewhere. */
  mountFrom?: readonly MountCandidate[]
  /** Nobody has asked whether the content is there: the push finds out, and tells 'exists' where it is. */
  mayExist?: boolean
  /**
   * Runs a wait for somebody else's transfer of the same blob, so that it takes no place among the caller's own ones.
   * Default: just runs it.
   */
  waiting?: <T>(wait: () => Promise<T>) => Promise<T>
  /**
   * Given where `open` takes an `end`: one more stream may be opened if this gives a place, which is given back by
   * disposing it. Default: one stream.
   */
  spare?: SparePlace
}

/** A place among the caller's own that nobody uses now; undefined when there is none. */
export type SparePlace = () => Place | undefined

export interface Place extends Disposable {
  /** Whether somebody waits for one by now. */
  readonly wanted: boolean
}

/** Where content comes from, as one caller sees it. */
export interface ContentOrigin extends Pick<ContentSink, 'exists'> {
  /** `host[:port]`. */
  readonly registry: string
  readonly repository: string
}

export interface ContentSink {
  /** True when the content is there in full. `onRetry` as OpenOptions'. */
  exists(descriptor: Descriptor, options: Pick<OpenOptions, 'signal' | 'onRetry'>): Promise<boolean>
  /**
   * Whether a push of so many bytes finds out on its way what `exists` would say (PushOptions.mayExist), so that asking
   * first would cost more. Changes with what the sink has shown. Default: it does not.
   */
  findsOnPush?(size: number): boolean
  /**
   * Brings one blob over and verifies size and digest on the way; retries what is transient by reopening it.
   * After it resolves the blob is there in full; when it rejects nothing is visible.
   */
  push(descriptor: Descriptor, open: BlobOpener, options: PushOptions): Promise<void>
}

import { forEachConcurrent } from '../lib/concurrent.ts'
import { type AppError, toAppError } from '../lib/errors.ts'
import type { Descriptor } from './descriptor.ts'
import type { Digest } from './digest.ts'
import type {
  BlobOpener,
  ContentSink,
  ContentSource,
  MountCandidate,
  PushEvent,
  PushOptions,
  VerifyOptions,
} from './endpoints.ts'

/** What happens to one blob, by its digest, in order: facts, not totals. */
export type BlobEvent =
  /** The sink held it in full. */
  | { type: 'exists'; digest: Digest }
  | { type: 'mounted'; digest: Digest; from: string | undefined }
  /** Moving begins or goes on; `offset` bytes are at the far end already. */
  | { type: 'started'; digest: Digest; offset: number }
  /** Bytes up to `offset` were handed over; `wire` of them since the last event of this blob. */
  | { type: 'bytes'; digest: Digest; offset: number; wire: number }
  /** Another job brings it and stands at `offset`; its bytes cost this one nothing. */
  | { type: 'followed'; digest: Digest; offset: number }
  | { type: 'verifying'; digest: Digest }
  | { type: 'retrying'; digest: Digest; error: AppError; attempt: number; retryAt: number }
  /** The far end lost what it had of the blob, as `message` says. */
  | { type: 'restarted'; digest: Digest; message: string }
  | { type: 'complete'; digest: Digest }
  | { type: 'failed'; digest: Digest; error: AppError }

export interface CopyBlobOptions extends Pick<PushOptions, 'waiting' | 'spare'> {
  signal: AbortSignal
  onEvent: (event: BlobEvent) => void
  /** Names the content in errors about wrong bytes. */
  verify?: VerifyOptions
  /** Where the sink may link the blob from, asked when it lacks it. */
  mountFrom?: (descriptor: Descriptor) => Promise<readonly MountCandidate[]>
  /** What is already known of the sink: true skips the blob, false skips the question. */
  exists?: boolean
}

/** Brings one blob over: exists, else mount, else bytes. When it resolves the sink has it in full. */
export async function copyBlob(
  descriptor: Descriptor,
  open: BlobOpener,
  sink: ContentSink,
  options: CopyBlobOptions,
): Promise<void> {
  const { digest } = descriptor
  try {
    const mayExist = options.exists === undefined && sink.findsOnPush?.(descriptor.size) === true
    if (!mayExist && (options.exists ?? (await isThere(descriptor, sink, options)))) {
      options.onEvent({ type: 'exists', digest })
      return
    }
    const mountFrom = await options.mountFrom?.(descriptor)
    let found = false
    await sink.push(descriptor, open, {
      signal: options.signal,
      onEvent(event) {
        found ||= event.type === 'exists' || event.type === 'mounted'
        options.onEvent(named(event, digest))
      },
      ...(options.verify ? { verify: options.verify } : {}),
      ...(options.waiting ? { waiting: options.waiting } : {}),
      ...(options.spare ? { spare: options.spare } : {}),
      ...(mountFrom ? { mountFrom } : {}),
      ...(mayExist ? { mayExist } : {}),
    })
    if (!found) options.onEvent({ type: 'complete', digest })
  } catch (thrown) {
    const error = toAppError(thrown)
    // An abort that came from outside is not this blob's failure.
    if (!options.signal.aborted) options.onEvent({ type: 'failed', digest, error })
    throw thrown
  }
}

function isThere(
  descriptor: Descriptor,
  sink: ContentSink,
  { signal, onEvent }: Pick<CopyBlobOptions, 'signal' | 'onEvent'>,
): Promise<boolean> {
  const { digest } = descriptor
  return sink.exists(descriptor, {
    signal,
    onRetry: (error, attempt, retryAt) => onEvent({ type: 'retrying', digest, error, attempt, retryAt }),
  })
}

/**
 * Copies blobs from a source that opens any of them at any time. Each digest moves once, however many descriptors name
 * it. Fails with the first error after everything under way has stopped. Source: oras-go `copyGraph`.
 */
export async function copyBlobs(
  descriptors: Iterable<Descriptor>,
  source: ContentSource,
  sink: ContentSink,
  options: Omit<CopyBlobOptions, 'exists' | 'verify' | 'waiting' | 'spare'> & {
    concurrency: number
    verify?: (descriptor: Descriptor) => VerifyOptions
  },
): Promise<void> {
  const { concurrency, verify, ...blob } = options
  const limits = { limit: concurrency, signal: options.signal }
  await forEachConcurrent(distinct(descriptors), limits, (descriptor, signal, places) =>
    copyBlob(descriptor, (at) => source.open(descriptor, at), sink, {
      ...blob,
      signal,
      waiting: places.leave,
      ...(source.ranges ? { spare: places.spare } : {}),
      ...(verify ? { verify: verify(descriptor) } : {}),
    }),
  )
}

/** The first descriptor of each digest, in order. */
export function distinct(descriptors: Iterable<Descriptor>): Descriptor[] {
  const byDigest = new Map<Digest, Descriptor>()
  for (const descriptor of descriptors) {
    if (!byDigest.has(descriptor.digest)) byDigest.set(descriptor.digest, descriptor)
  }
  return [...byDigest.values()]
}

function named(event: PushEvent, digest: Digest): BlobEvent {
  return { ...event, digest }
}

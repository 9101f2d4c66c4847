import type { UploadKey } from '../content/checkpoint.ts'
import type { TransferClaim, TransferClaims } from '../content/claims.ts'
import type { Descriptor } from '../content/descriptor.ts'
import type { BlobOpener, PushOptions } from '../content/endpoints.ts'
import { throwIfAborted } from '../lib/abort.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import type { Repository } from '../oci/registry.ts'

/** Below this a claim costs about as much as what it may save, and packages have thousands of such layers. */
const SHARED_BYTES = 1024 * 1024
const LOOK_MS = 250

/**
 * The repository, with pushes that other runs share: who comes second to a large blob watches the first one's bytes and
 * finds the blob there in the end; when the first one fails, is canceled or dies, one of those who wait goes on with its
 * upload session. The caller has proved its own right to push before (Repository.preparePush).
 */
export function sharedRepository(repository: Repository, claims: TransferClaims, clock = systemClock): Repository {
  return {
    ...repository,
    push: (descriptor, open, options) =>
      descriptor.size < SHARED_BYTES
        ? repository.push(descriptor, open, options)
        : pushShared({ repository, claims, clock, descriptor, open, options }),
  }
}

interface SharedPush {
  repository: Repository
  claims: TransferClaims
  clock: Clock
  descriptor: Descriptor
  open: BlobOpener
  options: PushOptions
}

async function pushShared(push: SharedPush): Promise<void> {
  const { repository, claims, descriptor, options } = push
  const { signal } = options
  const key: UploadKey = { registry: repository.registry, repository: repository.repository, digest: descriptor.digest }
  let again = false
  for (;;) {
    throwIfAborted(signal)
    const answer = await claims.take(key, { signal, again })
    if (answer.state === 'taken') {
      if ((await pushOwned(push, answer)) === 'pushed') return
      continue
    }
    const wait = (): Promise<boolean> => follow(push, key)
    if (await (options.waiting ? options.waiting(wait) : wait())) return
    // Nobody moves it any more. A mark that says that it is there was wrong.
    again = true
  }
}

/** Waits until the other's transfer has ended; true when it left the blob in the repository. */
async function follow(
  { repository, claims, clock, descriptor, options }: SharedPush,
  key: UploadKey,
): Promise<boolean> {
  const { signal, onEvent } = options
  for (;;) {
    const found = await claims.look(key, { signal })
    if (found.state !== 'held') {
      const there = await repository.exists(descriptor, { signal })
      if (there) onEvent?.({ type: 'exists' })
      return there
    }
    onEvent?.({ type: 'followed', offset: Math.min(found.offset, descriptor.size) })
    await clock.sleep(LOOK_MS, signal)
  }
}

/** Pushes as the one who moves the blob. `lost`: another run has it now. */
async function pushOwned(push: SharedPush, claim: TransferClaim): Promise<'pushed' | 'lost'> {
  const { signal, onEvent } = push.options
  const sending = new AbortController()
  // This reason leaves the upload session as it is, for whoever goes on with it.
  const handOver = (): void =>
    sending.abort(new AppError('JOB_FENCED', `another run goes on with the upload of ${push.descriptor.digest}`))
  const stop = (): void => (claim.watched ? handOver() : sending.abort(signal.reason))
  signal.addEventListener('abort', stop, { once: true })
  claim.lost.addEventListener('abort', handOver, { once: true })
  if (signal.aborted) stop()
  let done = false
  try {
    await push.repository.push(push.descriptor, push.open, {
      ...push.options,
      signal: sending.signal,
      onEvent(event) {
        if (event.type === 'started' || event.type === 'bytes') claim.moved(event.offset)
        onEvent?.(event)
      },
    })
    done = true
    return 'pushed'
  } catch (error) {
    throwIfAborted(signal)
    if (claim.lost.aborted) return 'lost'
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
    claim.lost.removeEventListener('abort', handOver)
    await claim.release({ done })
  }
}

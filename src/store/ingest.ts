import { rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { blobName, type Descriptor } from '../content/descriptor.ts'
import type { BlobOpener, PushOptions } from '../content/endpoints.ts'
import { throwIfAborted } from '../lib/abort.ts'
import { syncFolder } from '../lib/atomic-file.ts'
import { isAppError } from '../lib/errors.ts'
import { fileError } from './file-errors.ts'
import { lockFile, tryLockFile } from './file-lock.ts'
import { fileSize } from './file-size.ts'
import { PartialFile } from './partial-file.ts'

export interface IngestPlace {
  /** Where the whole blob will be. */
  blob: string
  /** Where it is written; survives the process. */
  partial: string
}

/** Whether a file of this size is there. */
export async function isWhole(path: string, size: number): Promise<boolean> {
  return (await fileSize(path)) === size
}

/**
 * Brings one blob in: never two writers on one partial file, in whatever process. Who comes second watches the first one's
 * bytes arrive and is done when it is; if that one fails or dies, it goes on where it stopped. The blob appears by
 * fsync and rename, verified. Throws DIGEST_MISMATCH, SIZE_MISMATCH, STORE_FULL, and what the opener throws for good.
 */
export async function ingest(
  place: IngestPlace,
  descriptor: Descriptor,
  open: BlobOpener,
  options: PushOptions,
): Promise<void> {
  try {
    await using _lock = await takeTurn(place, options)
    if (await isWhole(place.blob, descriptor.size)) {
      options.onEvent?.({ type: 'exists' })
      return
    }
    await receive(place.partial, descriptor, open, options)
    await rename(place.partial, place.blob)
    await syncFolder(dirname(place.blob))
  } catch (error) {
    throwIfAborted(options.signal)
    throw await fileError(error, dirname(place.partial), `storing ${blobName(descriptor)}`)
  }
}

/** The right to write the partial file. While somebody else has it, tells how far they are. */
async function takeTurn(place: IngestPlace, options: PushOptions): Promise<AsyncDisposable> {
  const path = `${place.partial}.lock`
  const free = await tryLockFile(path)
  if (free) return free
  const { signal, onEvent, waiting = (wait) => wait() } = options
  let seen = -1
  const onWait = async () => {
    const offset = (await fileSize(place.partial)) ?? 0
    if (offset !== seen) onEvent?.({ type: 'followed', offset })
    seen = offset
  }
  return waiting(() => lockFile(path, { signal, onWait }))
}

async function receive(path: string, descriptor: Descriptor, open: BlobOpener, options: PushOptions): Promise<void> {
  try {
    await receiveAll(path, descriptor, open, options)
  } catch (error) {
    if (isWrongContent(error)) await rm(path, { force: true })
    throw error
  }
}

async function receiveAll(path: string, descriptor: Descriptor, open: BlobOpener, options: PushOptions): Promise<void> {
  await using partial = await openPartial(path, descriptor, options)
  try {
    await receiveOnce(partial, { open, size: descriptor.size, options })
  } catch (error) {
    if (!isWrongContent(error)) {
      // What has arrived stays for the next try, if the disk takes it.
      await partial.settle().catch(() => undefined)
      throw error
    }
    // Wrong bytes may be a cut's doing or an old partial file's: once, everything is asked for again.
    await partial.restart()
    await receiveOnce(partial, { open, size: descriptor.size, options })
  }
}

/** A partial file whose bytes are wrong is of no use, and not this source's fault. */
async function openPartial(path: string, descriptor: Descriptor, options: PushOptions): Promise<PartialFile> {
  try {
    return await PartialFile.open(path, descriptor, options.verify)
  } catch (error) {
    if (!isWrongContent(error)) throw error
    await rm(path, { force: true })
    return PartialFile.open(path, descriptor, options.verify)
  }
}

async function receiveOnce(
  partial: PartialFile,
  { open, size, options }: { open: BlobOpener; size: number; options: PushOptions },
): Promise<void> {
  const { signal, onEvent } = options
  onEvent?.({ type: 'started', offset: partial.offset })
  // OCI distribution-spec: a range that begins at the end can't be satisfied, so a whole blob is not asked for.
  if (partial.offset < size) {
    const stream = await open({
      offset: partial.offset,
      signal,
      onRetry: (error, attempt, retryAt) => onEvent?.({ type: 'retrying', error, attempt, retryAt }),
    })
    for await (const chunk of stream) {
      throwIfAborted(signal)
      await partial.append(chunk)
      onEvent?.({ type: 'bytes', offset: partial.offset, wire: chunk.length })
    }
  }
  onEvent?.({ type: 'verifying' })
  await partial.finish()
}

function isWrongContent(error: unknown): boolean {
  if (!isAppError(error)) return false
  return ['DIGEST_MISMATCH', 'SIZE_MISMATCH', 'PACKAGE_CHECKSUM_MISMATCH'].includes(error.code)
}

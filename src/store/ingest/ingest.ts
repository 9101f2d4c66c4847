import { rename } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { blobName, type Descriptor, titleOrDigest } from '../../content/descriptor.ts'
import type { BlobOpener, PushOptions } from '../../content/endpoints.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import { syncFolder } from '../../lib/atomic-file.ts'
import { type AppError, isAppError } from '../../lib/errors.ts'
import { fileError } from '../files/file-errors.ts'
import type { StoreLocks } from '../locks/locks.ts'
import { fileSize } from '../files/file-size.ts'
import { PartialFile } from './partial-file.ts'
import type { RangeTuning } from './range-growth.ts'
import { rangeBytes } from './range-plan.ts'
import type { Rights } from '../origins/rights.ts'
import { prove } from './prove.ts'
import { partialBytes, removePartial } from './range-journal.ts'
import { receive } from './receive.ts'

export interface IngestPlace {
  /** Where the whole blob will be. */
  blob: string
  /** Where it is written; survives the process. */
  partial: string
  /** When it comes over several streams. */
  tuning: RangeTuning
  /** Whose a blob is that is there already. */
  rights: Rights
  /** Asked every 8 MiB. Throws STORE_FULL, transient, while the disk is low. */
  checkDisk: () => Promise<void>
  locks: Pick<StoreLocks, 'ingest' | 'tryIngest'>
}

export interface IngestedBlob {
  readonly place: IngestPlace
  readonly descriptor: Descriptor
  readonly open: BlobOpener
  readonly options: PushOptions
}

/** Whether a file of this size is there. */
export async function isWhole(path: string, size: number): Promise<boolean> {
  return (await fileSize(path)) === size
}

/**
 * Brings one blob in: never two writers on one partial file, in whatever process. Who comes second watches the first one's
 * bytes arrive and is done when it is; if that one fails or dies, it goes on where it stopped. The blob appears by
 * fsync and rename, verified. One that is there and not known to come from this source is had from it all the same, and
 * not written. Throws DIGEST_MISMATCH, SIZE_MISMATCH, STORE_FULL, and what the opener throws for good.
 */
export async function ingest(blob: IngestedBlob): Promise<void> {
  const { place, descriptor, options } = blob
  try {
    await using _lock = await takeTurn(place, options)
    await bring(blob)
  } catch (error) {
    throwIfAborted(options.signal)
    const told = await fileError(error, dirname(place.partial), `storing ${blobName(descriptor)}`)
    // A disk that others filled is one to wait for.
    if (told.code === 'STORE_FULL' && told.details?.['errno'] === 'ENOSPC') await place.checkDisk()
    throw told
  }
}

async function bring(blob: IngestedBlob): Promise<void> {
  const { place, descriptor, options } = blob
  const { rights } = place
  while (!(await isWhole(place.blob, descriptor.size))) {
    const came = await receiveOrRemove(blob)
    // First: a process that dies in between would have to bring the blob again.
    await rights.show(descriptor, came ? 'repository' : 'registry')
    await rename(place.partial, place.blob)
    await syncFolder(dirname(place.blob))
    if (came) return
  }
  if (await rights.isShown(descriptor, options)) {
    options.onEvent?.({ type: 'exists' })
    return
  }
  await onceMore(blob, () => prove(descriptor, blob.open, options))
  await rights.show(descriptor, 'repository')
  // Of a transfer that began when the blob was not there.
  await removePartial(place.partial)
  // It may have been found damaged meanwhile.
  if (!(await isWhole(place.blob, descriptor.size))) await bring(blob)
}

/** The right to write the partial file. While somebody else has it, tells how far they are. */
async function takeTurn(place: IngestPlace, options: PushOptions): Promise<AsyncDisposable> {
  const name = basename(place.partial)
  const free = await place.locks.tryIngest(name)
  if (free) return free
  const { signal, onEvent, waiting = (wait) => wait() } = options
  let seen = -1
  const onWait = async () => {
    const offset = (await partialBytes(place.partial)) ?? 0
    if (offset !== seen) onEvent?.({ type: 'followed', offset })
    seen = offset
  }
  // Once it has the lock the caller may be stopped in line for its own place.
  await using taken = new AsyncDisposableStack()
  const lock = await waiting(async () => taken.use(await place.locks.ingest(name, { signal, onWait })))
  taken.move()
  return lock
}

/** Whether this source gave any of it. */
async function receiveOrRemove(blob: IngestedBlob): Promise<boolean> {
  try {
    return await receiveAll(blob)
  } catch (error) {
    if (isWrongContent(error)) await removePartial(blob.place.partial)
    throw error
  }
}

async function receiveAll(blob: IngestedBlob): Promise<boolean> {
  const { place, descriptor, open, options } = blob
  await using partial = await openPartial(blob)
  const missing = descriptor.size - rangeBytes(partial.there)
  const { tuning, checkDisk } = place
  const reception = { open, size: descriptor.size, tuning, checkDisk, options }
  await onceMore(
    blob,
    () => receive(partial, reception),
    async () => {
      await partial.restart()
      const { spare: _oneStream, ...rest } = options
      await receive(partial, { ...reception, options: rest })
    },
  )
  return missing > 0 || descriptor.size === 0
}

/** Wrong bytes may be a cut's doing, an old partial file's or those of a range: once, everything is asked for again. */
async function onceMore(blob: IngestedBlob, task: () => Promise<void>, again = task): Promise<void> {
  try {
    await task()
  } catch (error) {
    if (!isWrongContent(error)) throw error
    tellStart(blob, error)
    await again()
  }
}

/** A partial file whose bytes are wrong is of no use, and not this source's fault. */
async function openPartial(blob: IngestedBlob): Promise<PartialFile> {
  const { place, descriptor, options } = blob
  try {
    return await PartialFile.open(place.partial, descriptor, options.verify)
  } catch (error) {
    if (!isWrongContent(error)) throw error
    tellStart(blob, error)
    await removePartial(place.partial)
    return PartialFile.open(place.partial, descriptor, options.verify)
  }
}

function tellStart({ descriptor, options }: IngestedBlob, { message, code }: AppError): void {
  const name = options.verify?.name ?? titleOrDigest(descriptor)
  options.onEvent?.({ type: 'restarted', message: `the download of ${name} starts again: ${message} (${code})` })
}

function isWrongContent(error: unknown): error is AppError {
  if (!isAppError(error)) return false
  return ['DIGEST_MISMATCH', 'SIZE_MISMATCH', 'PACKAGE_CHECKSUM_MISMATCH'].includes(error.code)
}

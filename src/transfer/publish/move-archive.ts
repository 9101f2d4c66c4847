import { type CopyBlobOptions, copyBlob } from '../../content/copy-graph.ts'
import { type Descriptor, TITLE_ANNOTATION } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { BlobOpener, ByteStream, VerifyOptions } from '../../content/endpoints.ts'
import { ZARF_LAYER } from '../../content/media-types.ts'
import { bufferOpener, readAll, skipBytes } from '../../content/streams.ts'
import { createIdleMeter } from '../../lib/cpu-idle.ts'
import { AppError } from '../../lib/errors.ts'
import { createLimiter, type Limiter } from '../../lib/limiter.ts'
import { createTaskGroup, type TaskGroup } from '../../lib/task-group.ts'
import type { Repository } from '../../oci/registry.ts'
import type { PackageEntry, PackagePass, StreamedPackage } from '../../zarf/package.ts'
import { type BlobLookup, createBlobLookup } from './blob-lookup.ts'
import type { OnEvent } from '../events.ts'
import { announce } from '../plan.ts'
import { maxReaders, wantsAnotherReader } from './readers.ts'

/** Files up to this are held whole, so that many are on the wire while one reader goes on. */
const HELD_FILE_BYTES = 1024 * 1024
/** Held files in memory at once; with the readers' windows the whole stays under 100 MiB. */
const HELD_FILES = 16
const LOAD_INTERVAL_MS = 1000

/** What blobs are brought into: a repository, or several that share them out. */
export type MovingTarget = Pick<Repository, 'registry' | 'stat' | 'exists' | 'findsOnPush' | 'push'>

export interface ArchivePassOptions {
  repository: MovingTarget
  /** Digests by path, as far as they are known; not all need be in the archive. */
  declared: ReadonlyMap<string, Digest>
  /** How errors tell of an entry's wrong bytes. */
  verify: (entry: PackageEntry) => VerifyOptions
  concurrency: number
  /** Whether rows were shown already (the plan was known). */
  announced: boolean
  mountFrom: NonNullable<CopyBlobOptions['mountFrom']>
  signal: AbortSignal
  onEvent: OnEvent
}

/** What is read, as far as moving it goes. */
export type MovedArchive = Pick<StreamedPackage, 'pass' | 'open' | 'sourceBytes' | 'windowBytes' | 'maxReaders'>

interface Pass extends ArchivePassOptions {
  archive: MovedArchive
  lookup: BlobLookup
  group: TaskGroup
  uploads: Limiter
  held: Limiter
  claimed: Set<Digest>
  load: { readers: number; sinkWaitMs: number; furthest: number }
  /** A reader came to the end: nobody else has anything to claim. */
  ended: boolean
}

/**
 * Moves every file of a compressed archive that the repository lacks, while the archive is read: no file on disk, no
 * second look. The first reader runs from end to end and meets everything; further readers join while the wire is the
 * limit, each claiming what nobody has claimed. Resolves with the entries met, in the archive's order.
 */
export async function moveArchive(archive: MovedArchive, options: ArchivePassOptions): Promise<PackageEntry[]> {
  const group = createTaskGroup(options.signal)
  const claimed = new Set<Digest>()
  const pass: Pass = {
    ...options,
    archive,
    group,
    lookup: createBlobLookup(options.repository, {
      signal: group.signal,
      concurrency: 8,
      isPast: (digest) => claimed.has(digest),
    }),
    uploads: createLimiter(options.concurrency),
    held: createLimiter(HELD_FILES),
    claimed,
    load: { readers: 0, sinkWaitMs: 0, furthest: 0 },
    ended: false,
  }
  pass.lookup.prefetch([...options.declared].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, digest]) => digest))
  const met: PackageEntry[] = []
  const monitor = setInterval(loadWatcher(pass), LOAD_INTERVAL_MS)
  try {
    startReader(pass, met)
    await group.finished()
  } finally {
    clearInterval(monitor)
  }
  return met
}

function startReader(pass: Pass, met?: PackageEntry[]): void {
  pass.load.readers += 1
  pass.group.spawn(async (signal) => {
    await using entries = pass.archive.pass({ signal, onRead: () => tellSource(pass, entries) })
    for await (const entry of entries) {
      met?.push(entry)
      if (!pass.claimed.has(entry.digest)) {
        pass.claimed.add(entry.digest)
        await moveEntry(pass, entry)
      }
      if (!met && unclaimed(pass) === 0) break
    }
    pass.ended = true
    pass.load.readers -= 1
  })
}

/** The reader that is furthest speaks for all. */
function tellSource({ load, archive, onEvent }: Pass, { sourceBytesRead, contentEstimate }: PackagePass): void {
  if (sourceBytesRead <= load.furthest) return
  load.furthest = sourceBytesRead
  const estimate = contentEstimate === undefined ? {} : { contentEstimate }
  onEvent({ type: 'source', bytesRead: sourceBytesRead, bytesTotal: archive.sourceBytes, ...estimate })
}

async function moveEntry(pass: Pass, entry: PackageEntry): Promise<void> {
  const descriptor: Descriptor = {
    mediaType: ZARF_LAYER,
    digest: entry.digest,
    size: entry.size,
    annotations: { [TITLE_ANNOTATION]: entry.path },
  }
  if (!pass.announced) announce(descriptor, pass.onEvent)
  const held = entry.size <= HELD_FILE_BYTES
  const asked = !held || pass.lookup.knows(entry.digest) || !pass.repository.findsOnPush(entry.size)
  if (asked && (await isThere(pass, descriptor))) {
    pass.onEvent({ type: 'exists', digest: entry.digest })
    return
  }
  if (!held) return liveUpload(pass, entry, descriptor)
  const bytes = entry.bytes ?? (await readAll(entry.content()))
  return heldUpload(pass, descriptor, { entry, bytes, asked })
}

function copyOptions(pass: Pass, entry: PackageEntry, signal: AbortSignal): CopyBlobOptions {
  return {
    mountFrom: pass.mountFrom,
    signal,
    onEvent: pass.onEvent,
    verify: pass.verify(entry),
  }
}

/** Lets the reader go on once the file has a place in memory. */
function heldUpload(
  pass: Pass,
  descriptor: Descriptor,
  file: { entry: PackageEntry; bytes: Buffer; asked: boolean },
): Promise<void> {
  return whenPassed(pass, (passed, signal) =>
    pass.held.run(() => {
      passed()
      return pass.uploads.run((waiting) => {
        const options = {
          ...copyOptions(pass, file.entry, signal),
          waiting,
          ...(file.asked ? { exists: false } : {}),
        }
        return copyBlob(descriptor, bufferOpener(file.bytes), pass.repository, options)
      }, signal)
    }, signal),
  )
}

/**
 * The reader stays at the file until its bytes are in the sink, unless another job moves it: then the reader goes on, and
 * the archive is opened again should this one have to take over.
 */
function liveUpload(pass: Pass, entry: PackageEntry, descriptor: Descriptor): Promise<void> {
  return whenPassed(pass, async (passed, signal) => {
    const opener = liveOpener(pass, entry, descriptor)
    await pass.uploads.run((leave) => {
      const waiting: typeof leave = (wait) => {
        opener.leave()
        passed()
        return leave(wait)
      }
      return copyBlob(descriptor, opener.open, pass.repository, {
        ...copyOptions(pass, entry, signal),
        exists: false,
        waiting,
      })
    }, signal)
    passed()
  })
}

/** Starts an upload and resolves when it says that the reader may go on. */
function whenPassed(pass: Pass, upload: (passed: () => void, signal: AbortSignal) => Promise<void>): Promise<void> {
  return new Promise((passed, refused) => {
    pass.group.spawn((signal) =>
      upload(passed, signal).catch((error: unknown) => {
        refused(error)
        throw error
      }),
    )
  })
}

async function isThere(pass: Pass, descriptor: Descriptor): Promise<boolean> {
  const found = await pass.lookup.stat(descriptor.digest)
  if (!found) return false
  if (found.size === null || found.size === descriptor.size) return true
  throw new AppError(
    'SIZE_MISMATCH',
    `${pass.repository.registry} holds ${descriptor.digest} with ${found.size} bytes; the package says ${descriptor.size}`,
    {
      side: 'destination',
      details: { digest: descriptor.digest, expected: descriptor.size, found: found.size },
      hint: "One of the two is damaged: check the package with 'zarf package inspect' and the registry's storage.",
    },
  )
}

/** The first opening takes the bytes as they are read; a retry decompresses from the start again to get there. */
function liveOpener(
  pass: Pass,
  entry: PackageEntry,
  descriptor: Descriptor,
): { open: BlobOpener /** The reader goes on without its bytes. */; leave(): void } {
  let live = true
  return {
    async open({ offset = 0, signal }) {
      const stream = live ? skipBytes(entry.content(), offset) : await pass.archive.open(descriptor, { offset, signal })
      live = false
      return metered(pass, stream)
    },
    leave() {
      live = false
    },
  }
}

async function* metered(pass: Pass, stream: ByteStream): ByteStream {
  for await (const chunk of stream) {
    const handedOver = performance.now()
    yield chunk
    pass.load.sinkWaitMs += performance.now() - handedOver
  }
}

function unclaimed(pass: Pass): number {
  if (pass.ended) return 0
  let count = 0
  for (const digest of pass.declared.values()) if (!pass.claimed.has(digest)) count += 1
  return count
}

function loadWatcher(pass: Pass): () => void {
  const idle = createIdleMeter()
  const limit = Math.min(pass.archive.maxReaders ?? Infinity, maxReaders(pass.concurrency, pass.archive.windowBytes))
  return () => {
    const { readers, sinkWaitMs } = pass.load
    pass.load.sinkWaitMs = 0
    const load = {
      readers,
      maxReaders: limit,
      sinkWait: readers === 0 ? 0 : sinkWaitMs / (LOAD_INTERVAL_MS * readers),
      idle: idle(),
      unclaimed: unclaimed(pass),
    }
    if (readers > 0 && !pass.group.signal.aborted && wantsAnotherReader(load)) startReader(pass)
  }
}

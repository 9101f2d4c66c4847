import { blobName, type Descriptor } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import type { ContentOrigin, ContentSink, ContentSource } from '../content/endpoints.ts'
import type { Room } from '../content/room.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { isAppError } from '../lib/errors.ts'
import { createLimiter } from '../lib/limiter.ts'
import { sweepAbandoned } from './upkeep/abandoned.ts'
import { type BlobFile, openBlobFile, streamBlob } from './blobs/blob-file.ts'
import { type CheckedBlobs, createCheckedBlobs } from './blobs/checked-blobs.ts'
import { type CheckOptions, type CheckReport, checkStore } from './upkeep/check.ts'
import { missingBlobs, readBlob } from './index/contents.ts'
import { dropDamaged, droppedError } from './upkeep/damage.ts'
import { type Disk, type KeepFree, readDisk } from './files/disk.ts'
import { fileError } from './files/file-errors.ts'
import { createFileLocks } from './locks/file-locks.ts'
import type { GcOptions, GcReport } from './upkeep/gc.ts'
import { guardedBlob } from './blobs/guarded-blob.ts'
import { ingest, isWhole } from './ingest/ingest.ts'
import { type StoreLayout, storeLayout } from './files/layout.ts'
import { checkRoom, leaseOrCollect } from './leases.ts'
import type { Lease } from './locks/locks.ts'
import { prepareLayout } from './index/prepare-layout.ts'
import { rightsFrom } from './origins/rights.ts'
import { RANGE_TUNING, type RangeTuning } from './ingest/range-growth.ts'
import { packageRecords, type StoredPackage } from './index/records.ts'
import type { CountsShare } from './index/shares.ts'
import {
  deletePackage,
  expirePackages,
  getPackage,
  listPackages,
  type PackageToStore,
  putPackage,
  releasePackage,
} from './packages.ts'
import { collectWith, type Parts } from './parts.ts'
import { checkStillRoom, createRoom, heldOn, waitingIfLow } from './upkeep/room.ts'
import { bytesToCome, measureSpace, type Space } from './upkeep/space.ts'

export type { BlobFile } from './blobs/blob-file.ts'
export { packageTitle } from './upkeep/check.ts'
export type { CheckOptions, CheckReport, StoreFinding } from './upkeep/check.ts'
export type { GcOptions, GcReport } from './upkeep/gc.ts'
export type { Lease } from './locks/locks.ts'
export { type Disk, diskReserve } from './files/disk.ts'
export type { StoredPackage } from './index/records.ts'
export type { CountsShare } from './index/shares.ts'
export type { Space } from './upkeep/space.ts'
export type { PackageToStore } from './packages.ts'

export interface ContentStoreOptions {
  /** The store's own folder, made if absent. Several processes may use one. */
  folder: string
  /** Bytes that blobs and partial files may take together. Default: what the disk has. */
  maxBytes?: number
  /** Bytes that its disk keeps free (diskReserve). Default: none. */
  keepFree?: KeepFree
  clock?: Clock
  /** When a blob comes over several streams at once. Default: as docs/adr/0013 says. */
  ranges?: Partial<RangeTuning>
}

/**
 * Pulled content: an OCI image layout on disk, deduplicated over packages. A blob is there whole and verified or not at
 * all, whatever died when. One that was damaged since is found when it is read as a whole, and taken away: packages then
 * lack it, and the next pull brings it. Source: OCI image-spec v1.1.1 image-layout.md.
 */
export interface LeaseOptions {
  /** What the same pull needs of the store's disk beside them, so that it is known when both never fit. Default 0. */
  besideBytes?: number
}

export interface ContentStore extends ContentSource, ContentSink, AsyncDisposable {
  readonly folder: string
  /**
   * The same, for content that comes from there. What another registry has brought is not there for it: it is brought from there
   * too, and not written again; what another repository of this one has brought is where this one says that it has it.
   * It waits for nobody who brings it from another registry.
   */
  from(origin: ContentOrigin): ContentSink
  /** The same for who only looks: what it finds out is not kept. */
  lookFrom(origin: ContentOrigin): Pick<ContentSink, 'exists'>
  /** The whole blob in memory, verified: for manifests and metadata. Throws STORE_CORRUPT. */
  read(descriptor: Descriptor, options: { signal: AbortSignal }): Promise<Buffer>
  /**
   * For reading a blob. Throws STORE_CORRUPT when it is absent, and when its bytes are not what they should be: in place of the
   * last ones, or where it is not `whole`, that is read in order from its first byte to its last, before any is read.
   */
  openFile(descriptor: Descriptor, options: { whole: boolean }): Promise<BlobFile>
  /** Those that are not there in full. */
  missing(blobs: readonly Descriptor[]): Promise<Descriptor[]>
  /**
   * Holds blobs against collection until disposed, and room for those still to come, among all processes; makes room by
   * collecting if it must. Ends by itself when this process dies. Throws STORE_FULL with the numbers, transient where room
   * may come.
   */
  lease(blobs: readonly Descriptor[], options?: LeaseOptions): Promise<Lease>
  /** Throws as `lease` would now, which holds nothing and takes nothing away. */
  checkRoom(blobs: readonly Descriptor[], options?: LeaseOptions): Promise<void>
  readonly packages: {
    /** As `get`, those of which anything counts. */
    list(counts?: CountsShare): Promise<StoredPackage[]>
    /** As the pulls of those owners that count make it: what others alone brought it lacks. Default: all count. */
    get(digest: Digest, counts?: CountsShare): Promise<StoredPackage | undefined>
    /** Records a package whose manifest is stored; an owner's known references and components are kept beside the new ones. */
    put(record: PackageToStore): Promise<StoredPackage>
    /**
     * Forgets that the owners that count (default: all) have pulled a package, with the last one the package, and frees what nobody else
     * brought, no other package shares and nobody leases; false when they have not.
     */
    delete(digest: Digest, counts?: CountsShare): Promise<boolean>
    /**
     * The archive that a transient pull was for has been saved: the package is forgotten, as `delete` does, unless something
     * else wants it, such as another pull. True when it went. `counts`: whose pulls it may end. Default: everybody's.
     */
    release(digest: Digest, holder: string, counts?: CountsShare): Promise<boolean>
    /** Forgets transient packages whose archive nobody has saved for so long. Returns how many went. */
    expire(ms: number): Promise<number>
  }
  gc(options?: GcOptions): Promise<GcReport>
  /** `promisedBytes`: what pulls, uploads and archives under way still need of the store's disk. */
  space(): Promise<Space & { readonly promisedBytes: number }>
  /** The disk of its folder. Cheap. */
  disk(): Promise<Disk>
  /** For files that are no blobs, in one account with them. */
  readonly room: Room
  /**
   * Looks at every byte; with `repair`, mends from what is whole. Throws STORE_BUSY when another process is to be kept
   * from a repair.
   */
  check(options: CheckOptions): Promise<CheckReport>
}

/**
 * Dispose it when done, so that a repair need not find out. Throws STORE_CORRUPT for a folder that holds another version's
 * layout, STORE_BUSY during a repair.
 */
export async function createContentStore(options: ContentStoreOptions): Promise<ContentStore> {
  const layout = storeLayout(options.folder)
  const clock = options.clock ?? systemClock
  const locks = createFileLocks(layout)
  const records = packageRecords(layout)
  await prepareLayout(layout, locks, records)
  const membership = await locks.join()
  const keepFree = options.keepFree ?? (() => 0)
  const parts: Parts = { layout, locks, records, turns: createLimiter(1), clock, keepFree }
  const sink = sinksOf(parts, options.ranges)
  const alone = { ...parts, locked: <T>(task: () => Promise<T>) => locked(parts, task) }
  const drop = (digest: Digest) => dropDamaged(alone, digest)
  const checked = createCheckedBlobs()
  const openFile = fileOpener(layout, checked, drop)
  return {
    ...sink(),
    folder: layout.folder,
    from: (origin) => sink(origin),
    lookFrom: (origin) => sink(origin, false),
    async open(descriptor, { offset = 0, end = descriptor.size, signal }) {
      const file = await openFile(descriptor, { whole: offset === 0 && end >= descriptor.size })
      return streamBlob(file, { start: offset, end: Math.min(end, descriptor.size), signal })
    },
    async read(descriptor, { signal }) {
      try {
        return await readBlob(layout, descriptor, signal)
      } catch (error) {
        if (!isAppError(error) || error.code !== 'DIGEST_MISMATCH') throw error
        await drop(descriptor.digest)
        throw droppedError(blobName(descriptor), 'has other bytes than it should', error)
      }
    },
    openFile,
    missing: (blobs) => missingBlobs(layout, blobs),
    lease: (blobs, { besideBytes = 0 } = {}) =>
      locked(parts, () => leaseOrCollect(parts, blobs, { besideBytes, maxBytes: options.maxBytes })),
    checkRoom: (blobs, { besideBytes = 0 } = {}) =>
      checkRoom(parts, blobs, { besideBytes, maxBytes: options.maxBytes }),
    packages: packagesOf(parts),
    gc: (gc) =>
      locked(parts, async () => {
        await sweepAbandoned(layout, locks)
        return await collectWith(parts, gc)
      }),
    space: () => spaceOf(parts),
    disk: () => readDisk(layout.folder, keepFree),
    room: createRoom({ ...alone, promisedBytes: async (asked) => bytesToCome(layout, await locks.leased(asked)) }),
    async check(check) {
      await using _alone = check.repair === true ? await locks.repair() : undefined
      return await checkStore(alone, check)
    },
    async [Symbol.asyncDispose]() {
      checked[Symbol.dispose]()
      await membership[Symbol.asyncDispose]()
    },
  }
}

function fileOpener(
  layout: StoreLayout,
  checked: CheckedBlobs,
  drop: (digest: Digest) => Promise<void>,
): ContentStore['openFile'] {
  return async (descriptor, { whole }) => {
    const { digest } = descriptor
    const name = blobName(descriptor)
    const onDamage = async (found: string): Promise<never> => {
      await drop(digest)
      throw droppedError(name, `has the digest ${found}`)
    }
    if (!whole) return checked.open(layout.blob(digest), descriptor, onDamage)
    const onWhole = (identity: string) => checked.remember(digest, identity)
    return guardedBlob(await openBlobFile(layout.blob(digest), name), descriptor, { onDamage, onWhole })
  }
}

const everybodys: CountsShare = () => true

function packagesOf(parts: Parts): ContentStore['packages'] {
  return {
    list: (counts = everybodys) => listPackages(parts, counts),
    get: (digest, counts = everybodys) => getPackage(parts, digest, counts),
    put: (record) => locked(parts, () => putPackage(parts, record)),
    delete: (digest, counts = everybodys) => locked(parts, () => deletePackage(parts, digest, counts)),
    release: (digest, holder, counts = everybodys) =>
      locked(parts, () => releasePackage(parts, digest, { holder, counts })),
    expire: (ms) => locked(parts, () => expirePackages(parts, ms)),
  }
}

async function spaceOf({ layout, locks, keepFree }: Parts): Promise<Space & { readonly promisedBytes: number }> {
  const [space, leased] = await Promise.all([measureSpace(layout, keepFree), locks.leased({ sweep: false })])
  const promised = [bytesToCome(layout, leased), heldOn(layout.folder, locks, false)]
  return { ...space, promisedBytes: (await Promise.all(promised)).reduce((sum, bytes) => sum + bytes, 0) }
}

/** By where blobs come from. */
function sinksOf(
  { layout, locks, keepFree }: Parts,
  ranges: Partial<RangeTuning> = {},
): (origin?: ContentOrigin, keeps?: boolean) => ContentSink {
  const tuning = { ...RANGE_TUNING, ...ranges }
  const checkDisk = () => checkStillRoom(layout.folder, keepFree, 'pull')
  return (origin, keeps) => {
    const rights = rightsFrom(layout, origin, keeps)
    return {
      async exists(descriptor, asked) {
        try {
          return (
            (await isWhole(layout.blob(descriptor.digest), descriptor.size)) &&
            (await rights.isShown(descriptor, asked))
          )
        } catch (error) {
          throw await fileError(error, layout.folder, `looking for ${blobName(descriptor)}`)
        }
      },
      push(descriptor, open, push) {
        const { digest } = descriptor
        const partial = layout.ingest(digest, origin?.registry)
        const place = { blob: layout.blob(digest), partial, tuning, rights, locks, checkDisk }
        return ingest({ place, descriptor, open, options: push })
      },
    }
  }
}

async function locked<T>({ layout, locks, turns, keepFree }: Parts, task: () => Promise<T>): Promise<T> {
  return turns.run(async () => {
    try {
      await using _lock = await locks.exclusive()
      return await task()
    } catch (error) {
      const told = await fileError(error, layout.folder, 'a change of the store')
      throw await waitingIfLow(told, layout.folder, keepFree)
    }
  })
}

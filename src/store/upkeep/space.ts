import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import { mapInBatches } from '../../lib/loop/breathe.ts'
import { type Disk, type KeepFree, readDisk } from '../files/disk.ts'
import { fileSize } from '../files/file-size.ts'
import { namedDigest, type StoreLayout } from '../files/layout.ts'
import { isJournal, partialBytes } from '../ingest/range-journal.ts'
import { checkDisk } from './room.ts'

export interface Space extends Disk {
  /** Bytes that blobs and partial files take. */
  readonly usedBytes: number
}

export async function measureSpace(layout: StoreLayout, keepFree: KeepFree): Promise<Space> {
  const [disk, ...used] = await Promise.all([
    readDisk(layout.folder, keepFree),
    ...layout.blobFolders.map((folder) => folderBytes(folder, fileSize)),
    // One with holes takes less than it is long.
    folderBytes(layout.ingests, partialBytes),
  ])
  return { ...disk, usedBytes: used.reduce((sum, bytes) => sum + bytes, 0) }
}

/**
 * Throws STORE_FULL with the numbers unless `neededBytes`, beside what others were promised, fit on the disk and under the
 * limit. It is transient where room may come: `wholeBytes` would fit into an empty store.
 */
export function checkSpace(
  space: Space,
  needs: {
    neededBytes: number
    wholeBytes: number
    /** Of the same pull, on the store's disk, and among what is held. */
    besideBytes: number
    /** To other pulls. */
    promisedBytes: number
    /** To files on the store's disk that are no blobs. */
    heldBytes: number
    maxBytes: number | undefined
    folder: string
  },
): void {
  const { neededBytes, wholeBytes, besideBytes, promisedBytes, heldBytes, maxBytes, folder } = needs
  if (neededBytes === 0) return
  const onDisk = { wholeBytes: wholeBytes + besideBytes, promisedBytes: promisedBytes + heldBytes }
  checkDisk(space, { what: 'pull', neededBytes, ...onDisk, folder })
  if (maxBytes === undefined || space.usedBytes + promisedBytes + neededBytes <= maxBytes) return
  const others = promisedBytes > 0 ? `, ${promisedBytes} of them promised to other pulls` : ''
  const left = Math.max(0, maxBytes - space.usedBytes)
  const mayFit = wholeBytes <= maxBytes
  throw new AppError(
    'STORE_FULL',
    `the pull needs ${neededBytes} bytes; the store has ${left} of its ${maxBytes} left${others}`,
    {
      side: 'destination',
      details: { neededBytes, promisedBytes, ...space, maxBytes },
      ...(mayFit ? { retry: 'transient' } : {}),
      hint: mayFit
        ? 'The job goes on when stored packages are deleted or LAYERD_STORE_MAX_BYTES is raised.'
        : `With ${wholeBytes} bytes it never fits: raise LAYERD_STORE_MAX_BYTES, then retry the job.`,
    },
  )
}

/** Bytes that leased blobs still need: neither in the store nor in a partial file. */
export async function bytesToCome(layout: StoreLayout, sizes: ReadonlyMap<Digest, number>): Promise<number> {
  const partial = await partialSizes(layout)
  const missing = await mapInBatches([...sizes], async ([digest, size]) => {
    const there = (await fileSize(layout.blob(digest))) ?? partial.get(digest) ?? 0
    return Math.max(0, size - there)
  })
  return missing.reduce((sum, bytes) => sum + bytes, 0)
}

/** Of each blob on its way in, the most that has come from one place. */
async function partialSizes(layout: StoreLayout): Promise<Map<Digest, number>> {
  const sizes = new Map<Digest, number>()
  for (const name of await readdir(layout.ingests)) {
    const digest = namedDigest(name)
    if (digest === undefined || name.endsWith('.lock') || isJournal(name)) continue
    const size = (await partialBytes(join(layout.ingests, name))) ?? 0
    sizes.set(digest, Math.max(size, sizes.get(digest) ?? 0))
  }
  return sizes
}

async function folderBytes(folder: string, sizeOf: (path: string) => Promise<number | undefined>): Promise<number> {
  let bytes = 0
  for (const name of await readdir(folder)) {
    bytes += (await sizeOf(join(folder, name))) ?? 0
  }
  return bytes
}

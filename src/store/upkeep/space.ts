import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import { freeDiskBytes } from '../files/file-errors.ts'
import { fileSize } from '../files/file-size.ts'
import { namedDigest, type StoreLayout } from '../files/layout.ts'
import { isJournal, partialBytes } from '../ingest/range-journal.ts'

export interface Space {
  /** Bytes that blobs and partial files take. */
  readonly usedBytes: number
  /** Bytes free on the disk. */
  readonly freeBytes: number
}

export async function measureSpace(layout: StoreLayout): Promise<Space> {
  const [freeBytes, ...used] = await Promise.all([
    freeDiskBytes(layout.folder),
    ...layout.blobFolders.map((folder) => folderBytes(folder, fileSize)),
    // One with holes takes less than it is long.
    folderBytes(layout.ingests, partialBytes),
  ])
  return { usedBytes: used.reduce((sum, bytes) => sum + bytes, 0), freeBytes }
}

/**
 * Throws STORE_FULL with the numbers unless `neededBytes`, beside what other pulls were promised, fit on the disk and
 * under the limit. It is transient where room under the limit may come: `wholeBytes` would fit into an empty store.
 */
export function checkSpace(
  space: Space,
  needs: {
    neededBytes: number
    wholeBytes: number
    promisedBytes: number
    maxBytes: number | undefined
    folder: string
  },
): void {
  const { neededBytes, wholeBytes, promisedBytes, maxBytes, folder } = needs
  if (neededBytes === 0) return
  const others = promisedBytes > 0 ? `, ${promisedBytes} of them promised to other pulls` : ''
  const details = { neededBytes, promisedBytes, ...space, ...(maxBytes === undefined ? {} : { maxBytes }) }
  if (neededBytes + promisedBytes > space.freeBytes) {
    throw new AppError(
      'STORE_FULL',
      `the pull needs ${neededBytes} bytes; the disk of ${folder} has ${space.freeBytes} free${others}`,
      { side: 'destination', details, hint: 'Free disk space or delete stored packages, then retry the job.' },
    )
  }
  if (maxBytes === undefined || space.usedBytes + promisedBytes + neededBytes <= maxBytes) return
  const left = Math.max(0, maxBytes - space.usedBytes)
  const mayFit = wholeBytes <= maxBytes
  throw new AppError(
    'STORE_FULL',
    `the pull needs ${neededBytes} bytes; the store has ${left} of its ${maxBytes} left${others}`,
    {
      side: 'destination',
      details,
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
  const missing = await Promise.all(
    [...sizes].map(async ([digest, size]) => {
      const there = (await fileSize(layout.blob(digest))) ?? partial.get(digest) ?? 0
      return Math.max(0, size - there)
    }),
  )
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

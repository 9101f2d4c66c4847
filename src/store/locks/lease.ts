import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Descriptor } from '../../content/descriptor.ts'
import { type Digest, isDigest } from '../../content/digest.ts'
import { lockFile } from './file-lock.ts'
import type { StoreLayout } from '../files/layout.ts'
import type { Lease, LeasedOptions } from './locks.ts'
import { ownershipOf } from './owned-file.ts'
import { newOwner } from './owner.ts'

const SUFFIX = '.json'

/** Writes the lease; the caller holds the store's lock, so that a collection sees it or has ended before. */
export async function writeLease(layout: StoreLayout, blobs: readonly Descriptor[]): Promise<Lease> {
  const id = newOwner().token
  const path = join(layout.leases, `${id}${SUFFIX}`)
  const lock = await lockFile(`${path}.lock`)
  const lease: Lease = {
    id,
    async [Symbol.asyncDispose]() {
      await rm(path, { force: true })
      await lock[Symbol.asyncDispose]()
    },
  }
  try {
    await writeFile(path, JSON.stringify(blobs.map(({ digest, size }) => [digest, size])))
    return lease
  } catch (error) {
    await lease[Symbol.asyncDispose]()
    throw error
  }
}

/** Reads all leases; takes away those whose owner died. */
export async function readLeases(
  layout: StoreLayout,
  { sweep = true }: LeasedOptions = {},
): Promise<ReadonlyMap<Digest, number>> {
  const sizes = new Map<Digest, number>()
  const names = await readdir(layout.leases)
  // The lock comes first and goes last: a lease may have no more than that.
  const files = new Set(names.map((name) => name.replace(/\.lock$/, '')).filter((name) => name.endsWith(SUFFIX)))
  for (const file of files) {
    const path = join(layout.leases, file)
    if ((await ownershipOf(`${path}.lock`)).state === 'held') {
      for (const [digest, size] of await leasedBlobs(path)) sizes.set(digest, size)
    } else if (sweep) {
      await rm(path, { force: true })
      await rm(`${path}.lock`, { force: true })
    }
  }
  return sizes
}

async function leasedBlobs(path: string): Promise<Array<[Digest, number]>> {
  try {
    const blobs = JSON.parse(await readFile(path, 'utf8')) as Array<[string, number]>
    return blobs.filter((entry): entry is [Digest, number] => isDigest(entry[0]))
  } catch {
    return []
  }
}

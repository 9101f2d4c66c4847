import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import type { Descriptor } from '../../content/descriptor.ts'
import { type Digest, isDigest } from '../../content/digest.ts'
import { lockFile } from './file-lock.ts'
import type { StoreLayout } from '../files/layout.ts'
import type { HeldFile, Hold, Lease, LeasedOptions } from './locks.ts'
import { ownershipOf } from './owned-file.ts'
import { newOwner } from '../../lib/processes/owner.ts'

const SUFFIX = '.json'

/** Writes the lease; the caller holds the store's lock, so that a collection sees it or has ended before. */
export async function writeLease(layout: StoreLayout, blobs: readonly Descriptor[]): Promise<Lease> {
  const { id, end } = await claim(
    layout,
    blobs.map(({ digest, size }) => [digest, size]),
  )
  return { id, [Symbol.asyncDispose]: end }
}

/** Writes what room a file keeps; the caller holds the store's lock, for `resize` too. */
export async function writeHold(layout: StoreLayout, { path, bytes }: HeldFile): Promise<Hold> {
  // Another container may have the store under another path.
  const held = (size: number) => ({ file: relative(layout.folder, path), bytes: size })
  const { file, end } = await claim(layout, held(bytes))
  return { resize: (size) => writeFile(file, JSON.stringify(held(size))), [Symbol.asyncDispose]: end }
}

/** Reads all leases; takes away those whose owner died. */
export async function readLeases(layout: StoreLayout, options?: LeasedOptions): Promise<ReadonlyMap<Digest, number>> {
  const sizes = new Map<Digest, number>()
  for (const claimed of await readClaims(layout, options)) {
    if (!Array.isArray(claimed)) continue
    for (const blob of claimed as unknown[]) {
      if (Array.isArray(blob) && isDigest(blob[0]) && typeof blob[1] === 'number') sizes.set(blob[0], blob[1])
    }
  }
  return sizes
}

/** Reads what room files keep; takes away what owners left that died. */
export async function readHolds(layout: StoreLayout, options?: LeasedOptions): Promise<HeldFile[]> {
  const claims = (await readClaims(layout, options)) as Array<{ file?: unknown; bytes?: unknown }>
  return claims.flatMap(({ file, bytes }) =>
    typeof file === 'string' && typeof bytes === 'number' ? [{ path: resolve(layout.folder, file), bytes }] : [],
  )
}

/** A file that is there as long as this process, or until `end`. */
async function claim(
  layout: StoreLayout,
  content: object,
): Promise<{ id: string; file: string; end: () => Promise<void> }> {
  const id = newOwner().token
  const file = join(layout.leases, `${id}${SUFFIX}`)
  const lock = await lockFile(`${file}.lock`)
  const end = async (): Promise<void> => {
    await rm(file, { force: true })
    await lock[Symbol.asyncDispose]()
  }
  try {
    await writeFile(file, JSON.stringify(content))
    return { id, file, end }
  } catch (error) {
    await end()
    throw error
  }
}

/** What each file says whose owner lives. */
async function readClaims(layout: StoreLayout, { sweep = true }: LeasedOptions = {}): Promise<object[]> {
  const claims: object[] = []
  const names = await readdir(layout.leases)
  // The lock comes first and goes last: a lease may have no more than that.
  const files = new Set(names.map((name) => name.replace(/\.lock$/, '')).filter((name) => name.endsWith(SUFFIX)))
  for (const file of files) {
    const path = join(layout.leases, file)
    if ((await ownershipOf(`${path}.lock`)).state === 'held') {
      claims.push(await readClaim(path))
    } else if (sweep) {
      await rm(path, { force: true })
      await rm(`${path}.lock`, { force: true })
    }
  }
  return claims
}

async function readClaim(path: string): Promise<object> {
  try {
    const content: unknown = JSON.parse(await readFile(path, 'utf8'))
    return typeof content === 'object' && content !== null ? content : {}
  } catch {
    return {}
  }
}

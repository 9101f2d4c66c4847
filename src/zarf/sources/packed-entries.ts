import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { isDigest } from '../../content/digest.ts'
import type { PackageEntry } from '../contents/types.ts'

type Found = Pick<PackageEntry, 'path' | 'size' | 'digest' | 'bytes'>
type Row = [path: string, size: number, digest: string, bytes?: string]

/** More than any package that could be published has (metadata-files.ts). */
const MAX_UNPACKED_BYTES = 64 * 2 ** 20

/** What a pass met, small enough to be kept elsewhere: names, sizes, digests, and the content of the metadata files. */
export async function packEntries(entries: readonly Found[]): Promise<Buffer> {
  const rows = entries.map(({ path, size, digest, bytes }): Row => {
    return bytes === undefined ? [path, size, digest] : [path, size, digest, bytes.toString('base64')]
  })
  return await promisify(gzip)(JSON.stringify(rows))
}

/** Undefined for what is no such thing. */
export async function unpackEntries(packed: Buffer): Promise<Found[] | undefined> {
  try {
    const rows: unknown = JSON.parse(String(await promisify(gunzip)(packed, { maxOutputLength: MAX_UNPACKED_BYTES })))
    return Array.isArray(rows) ? rows.map(toEntry) : undefined
  } catch {
    return undefined
  }
}

function toEntry(row: unknown): Found {
  const [path, size, digest, bytes] = row as Row
  if (typeof path !== 'string' || !Number.isSafeInteger(size) || !isDigest(digest)) throw new Error('no entry')
  return { path, size, digest, bytes: bytes === undefined ? undefined : Buffer.from(bytes, 'base64') }
}

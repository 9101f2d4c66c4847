import { rm, stat } from 'node:fs/promises'
import { type Digest, digestHex } from '../../content/digest.ts'
import { type AppError, isAppError } from '../../lib/errors.ts'
import { damaged } from '../blobs/blob-file.ts'
import { hashFile } from '../blobs/hash-file.ts'
import { contentsOf } from '../index/contents.ts'
import type { StoreLayout } from '../files/layout.ts'
import type { PackageRecords } from '../index/records.ts'

/** Undefined for a whole blob, and for one that was collected meanwhile. Throws when this user may not read it. */
export async function damageOf(
  path: string,
  digest: Digest,
  options: { size: number; signal: AbortSignal },
): Promise<string | undefined> {
  try {
    const { hex } = await hashFile(path, digest, options)
    return hex === digestHex(digest) ? undefined : `has the digest ${hex}, so its bytes are damaged`
  } catch (error) {
    const code = errno(error) ?? (isAppError(error) ? errno(error.cause) : undefined)
    if (code === 'ENOENT') return undefined
    if (code === 'EIO') return 'cannot be read: the disk fails (EIO)'
    throw error
  }
}

interface DamageParts {
  layout: StoreLayout
  records: PackageRecords
  /** Runs a task alone, as changes of records are. */
  locked: <T>(task: () => Promise<T>) => Promise<T>
}

/**
 * Takes a blob away whose bytes are wrong, so that packages say that they lack it and the next pull brings it. It is
 * looked at once more before, and not taken away when somebody has brought it anew meanwhile.
 */
export async function dropDamaged({ layout, records, locked }: DamageParts, digest: Digest): Promise<void> {
  const path = layout.blob(digest)
  const found = await stat(path).catch(() => undefined)
  if (!found) return
  const { size, ino } = found
  if ((await damageOf(path, digest, { size, signal: new AbortController().signal })) === undefined) return
  await locked(async () => {
    if ((await stat(path).catch(() => undefined))?.ino !== ino) return
    const packages = (await records.list()).filter(({ complete }) => complete)
    // Before the blob goes: it may be a manifest, which tells what its package needs.
    const contents = await Promise.all(packages.map((record) => contentsOf(layout, record)))
    await rm(path, { force: true })
    const lacking = packages.filter(
      (record, at) =>
        record.digest === digest ||
        record.nested?.includes(digest) === true ||
        contents[at]?.some((blob) => blob.digest === digest),
    )
    for (const record of lacking) await records.put({ ...record, complete: false })
    if (lacking.length > 0) await records.writeIndex()
  })
}

/** Of a blob that was taken away. */
export function droppedError(name: string, why: string, cause?: unknown): AppError {
  const hint = "Pull the package again, which brings this blob anew. 'layerd store check' tells what else is damaged."
  return damaged(name, why, { hint, cause })
}

function errno(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

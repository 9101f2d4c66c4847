import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

export interface SplitPackage {
  /** Of part000. */
  head: string
  /** Of the parts, in order. */
  parts: string[]
}

/** Writes a package into `folder` in parts, as zarf does. */
export async function splitPackage(path: string, folder: string, partBytes: number): Promise<SplitPackage> {
  const bytes = await readFile(path)
  const at = (part: number) => join(folder, `${basename(path)}.part${String(part).padStart(3, '0')}`)
  const count = Math.ceil(bytes.length / partBytes)
  const parts = Array.from({ length: count }, (_, index) => at(index + 1))
  for (const [index, part] of parts.entries()) {
    await writeFile(part, bytes.subarray(index * partBytes, (index + 1) * partBytes))
  }
  const Sha256Sum = createHash('sha256').update(bytes).digest('hex')
  await writeFile(at(0), JSON.stringify({ Sha256Sum, Bytes: bytes.length, Count: count }))
  return { head: at(0), parts }
}

/** Every file of a folder with its hash, to see that none has changed. */
export async function filesOf(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).toSorted()
  const hashes = names.map(async (name) => {
    const hash = createHash('sha256').update(await readFile(join(folder, name)))
    return [name, hash.digest('hex')] as const
  })
  return Object.fromEntries(await Promise.all(hashes))
}

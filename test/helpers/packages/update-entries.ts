import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { streamOf } from '../../../src/content/streams.ts'
import { tarEntries } from '../../../src/zarf/archive/tar-entries.ts'
import { StreamTarInput } from '../../../src/zarf/archive/tar-input.ts'
import type { Cleanup } from '../cleanup.ts'
import { tempDir } from '../temp-dir.ts'
import { type ArchiveEntry, writeArchive } from './package-builder.ts'

/** An entry of an update's archive. */
export interface UpdateEntry {
  name: string
  content: Buffer
}

/** The list as JSON has it. */
export interface ListJson {
  mediaType: string
  package: Record<'name' | 'version' | 'flavor' | 'architecture', string | null>
  manifest: Blob
  base: Blob & { version: string | null }
  included: Blob[]
  fromBase: Blob[]
}
interface Blob {
  mediaType: string
  digest: string
  size: number
}

export async function readEntries(path: string): Promise<UpdateEntry[]> {
  const input = new StreamTarInput(streamOf(zstdDecompressSync(await readFile(path))))
  const entries: UpdateEntry[] = []
  for await (const { path: name, size } of tarEntries(input)) entries.push({ name, content: await input.take(size) })
  return entries
}

/** Another archive out of one: its entries, and its list, as they are changed. */
export async function changedUpdate(
  t: Cleanup,
  path: string,
  change: { list?: (list: ListJson) => void; entries?: (entries: UpdateEntry[]) => UpdateEntry[]; fileName?: string },
): Promise<string> {
  const [first, ...rest] = await readEntries(path)
  const list = JSON.parse(String(first?.content)) as ListJson
  change.list?.(list)
  const all = [{ name: first?.name ?? '', content: Buffer.from(JSON.stringify(list)) }, ...rest]
  const entries = (change.entries?.(all) ?? all).map(
    ({ name, content }): ArchiveEntry => ({ header: { name, mode: 0o644, mtime: new Date(0) }, content }),
  )
  const changed = join(await tempDir(t), change.fileName ?? 'layerd-update-changed.tar.zst')
  await writeArchive(changed, entries)
  return changed
}

/** The first `bytes` of a file. */
export async function cutFile(t: Cleanup, path: string, bytes: number): Promise<string> {
  const cut = join(await tempDir(t), 'layerd-update-cut.tar.zst')
  await writeFile(cut, (await readFile(path)).subarray(0, bytes))
  return cut
}

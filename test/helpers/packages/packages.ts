import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { zstdDecompressSync } from 'node:zlib'
import { extract, type Header } from 'tar-stream'
import type { ByteStream } from '../../../src/content/endpoints.ts'
import { type OpenedPackage, type PackageContents } from '../../../src/zarf/package.ts'
import { openPackageAt } from './open-package.ts'

/** The tar inside a small `.tar.zst`. */
export async function decompressed(path: string): Promise<Buffer> {
  return zstdDecompressSync(await readFile(path))
}

/** The entries of a small tar with their bytes, read by tar-stream and not by the code under test. */
export async function readTar(tar: Buffer): Promise<{ header: Header; content: Buffer }[]> {
  const entries: { header: Header; content: Buffer }[] = []
  const reader = extract()
  reader.end(tar)
  for await (const entry of reader) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    entries.push({ header: entry.header, content: Buffer.concat(chunks) })
  }
  return entries
}

/** Opens a package, reads all of it that tells its contents, and closes it. */
export async function contentsOf(path: string): Promise<PackageContents> {
  const signal = new AbortController().signal
  await using opened = await openPackageAt(path, { signal })
  return await wholeContents(opened, signal)
}

export async function wholeContents(opened: OpenedPackage, signal: AbortSignal): Promise<PackageContents> {
  return opened.kind === 'indexed' ? opened.contents : opened.scan({ signal })
}

/** Hashes a stream chunk by chunk, as it may lie in buffers that are read over. */
export async function digestOfStream(stream: ByteStream): Promise<{ digest: string; size: number }> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of stream) {
    hash.update(chunk)
    size += chunk.length
  }
  return { digest: `sha256:${hash.digest('hex')}`, size }
}

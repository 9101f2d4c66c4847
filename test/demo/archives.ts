import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createZstdDecompress } from 'node:zlib'
import { extract } from 'tar-stream'

/** Path and digest of each file in a package's archive, sorted, one a line. */
export function listArchive(path: string): Promise<string[]> {
  return list(createReadStream(path, { highWaterMark: 1024 * 1024 }), path.endsWith('.zst'))
}

/** The same of an archive that the daemon serves, read as it comes. */
export async function listServedArchive(url: string): Promise<string[]> {
  const response = await fetch(url)
  if (!response.ok || response.body === null) throw new Error(`GET ${url} answered ${response.status}`)
  const compressed = /filename="[^"]+\.zst"/.test(response.headers.get('content-disposition') ?? '')
  return list(Readable.fromWeb(response.body), compressed)
}

async function list(archive: Readable, compressed: boolean): Promise<string[]> {
  const entries = extract()
  const decoders: Transform[] = compressed ? [createZstdDecompress()] : []
  const moved = pipeline([archive, ...decoders, entries])
  const lines: string[] = []
  for await (const entry of entries) {
    const hash = createHash('sha256')
    for await (const chunk of entry) hash.update(chunk as Buffer)
    if (entry.header.type === 'file') lines.push(`${entry.header.name} sha256:${hash.digest('hex')}`)
  }
  await moved
  return lines.toSorted()
}

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { digestOf } from '../../src/content/digest.ts'
import { padding, TAR_END, tarHeader } from '../../src/zarf/archive/tar-writer.ts'

const MIB = 2 ** 20
const EMPTY = digestOf(Buffer.alloc(0)).slice(7)

/** Archives at the limits of docs/security.md: what is in each, in order. */
const ARCHIVES: Readonly<Record<string, () => Iterable<[path: string, bytes: Buffer]>>> = {
  'an archive of 199,000 files, all in checksums.txt': () => listed(199_000, 'f'),
  'an archive of 20,000 files, all in checksums.txt': () => listed(20_000, 'f'),
  'an archive of 199,000 files, none in checksums.txt': () => [...withDefinition(''), ...files(199_000, 'f')],
  'checksums.txt: 16 MiB of lines': () => withDefinition(lines(Math.floor((16 * MIB) / 72), 'f')),
  'checksums.txt: 16 MiB of long paths': () => withDefinition(lines(3900, 'é'.repeat(1900))),
  'checksums.txt: 16 MiB of line ends': () => withDefinition('\n'.repeat(16 * MIB)),
  'checksums.txt: one line of 16 MiB': () => withDefinition('a'.repeat(16 * MIB)),
  'an archive of 20,000 unlisted files that zarf.yaml allows': () => [
    ...withDefinition('', `build: {architecture: amd64, signed: true, provenanceFiles: [${names(20_000, 'f')}]}\n`),
    ...files(20_000, 'f'),
  ],
}

/** Writes each as `.tar` and `.tar.zst`. */
export function writeHostileArchives(folder: string): { what: string; path: string }[] {
  return Object.entries(ARCHIVES).flatMap(([what, content], at) => {
    const tar = Buffer.concat([...tarOf(content())])
    const base = join(folder, `zarf-package-hostile${at}-amd64-1.0.0`)
    writeFileSync(`${base}.tar`, tar)
    writeFileSync(`${base}.tar.zst`, zstdCompressSync(tar))
    return ['.tar', '.tar.zst'].map((extension) => ({ what: `${what}, ${extension}`, path: `${base}${extension}` }))
  })
}

function* tarOf(content: Iterable<[path: string, bytes: Buffer]>): Generator<Buffer> {
  for (const [path, bytes] of content) {
    yield tarHeader(path, bytes.length)
    yield bytes
    yield Buffer.alloc(padding(bytes.length))
  }
  yield TAR_END
}

function* listed(count: number, name: string): Generator<[string, Buffer]> {
  const [checksums, definition] = withDefinition(lines(count, name))
  if (checksums) yield checksums
  yield* files(count, name)
  if (definition) yield definition
}

function* files(count: number, name: string): Generator<[string, Buffer]> {
  for (let at = 0; at < count; at += 1) yield [`${name}${at}`, Buffer.alloc(0)]
}

function withDefinition(checksums: string, build = 'build: {architecture: amd64}\n'): [string, Buffer][] {
  const bytes = Buffer.from(checksums)
  const metadata = `{name: hostile, version: 1.0.0, architecture: amd64, aggregateChecksum: ${digestOf(bytes).slice(7)}}`
  const definition = `kind: ZarfPackageConfig\nmetadata: ${metadata}\n${build}components: [{name: one}]\n`
  return [
    ['checksums.txt', bytes],
    ['zarf.yaml', Buffer.from(definition)],
  ]
}

function lines(count: number, name: string): string {
  return Array.from({ length: count }, (_, at) => `${EMPTY} ${name}${at}\n`).join('')
}

function names(count: number, name: string): string {
  return Array.from({ length: count }, (_, at) => `${name}${at}`).join(',')
}

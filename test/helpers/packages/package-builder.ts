import { createCipheriv, createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress } from 'node:zlib'
import { dump } from 'js-yaml'
import { type Header, type Pack, pack } from 'tar-stream'

/** Content made on the fly, the same for the same options: large packages are built without a large buffer. */
export interface GeneratedContent {
  bytes: number
  /** Share of each MiB that zstd can squeeze away, 0 to 1. Default 0.25. */
  compressible?: number
  /** Default 1. Two contents with equal seed and size are equal. */
  seed?: number
}

export type FileContent = string | Buffer | GeneratedContent

/** One entry of the archive, as tar-stream takes it. Links and special files have no content. */
export interface ArchiveEntry {
  header: Partial<Header> & Pick<Header, 'name'>
  content?: FileContent
}

export interface PackageOptions {
  /** Default `sample`. */
  name?: string
  /** Default `1.0.0`; null leaves it out. */
  version?: string | null
  /** Default `amd64`. */
  architecture?: string
  flavor?: string
  /** Further keys of the definition's `metadata` and `build`. */
  metadata?: Record<string, unknown>
  build?: Record<string, unknown>
  /** Files of the package by path, beside the generated layers. */
  files?: Record<string, FileContent>
  /** Files that checksums.txt does not list, such as a signature. */
  unlisted?: Record<string, FileContent>
  /** Count of generated component layers. Default 2. */
  layers?: number
  /** Bytes of each generated layer, or of one after another. Default 4096. */
  layerBytes?: number | readonly number[]
  /** Default 0.25. */
  compressible?: number
  /** Default 1; another seed gives other layers. */
  seed?: number
  /** Default `tar.zst`. */
  format?: 'tar' | 'tar.zst' | 'directory'
  /** Default: zarf's own name for it. */
  fileName?: string
  /** zstd level. Default 3, as zarf's. */
  level?: number
  /** Makes a bad package. checksums runs before the aggregate checksum is taken, entries last of all. */
  tamper?: {
    checksums?: (text: string) => string
    definition?: (text: string) => string
    entries?: (entries: ArchiveEntry[]) => ArchiveEntry[]
  }
}

export interface BuiltPackage {
  path: string
  fileName: string
  name: string
  /** Sum of the contents of all files. */
  contentBytes: number
  /** Every file with its digest, in the archive's order. */
  files: { path: string; digest: string; size: number }[]
}

const MIB = 1024 * 1024

/**
 * Writes a Zarf package into `folder` and says what is in it. Layers stream to disk, whatever their size. Source of the
 * format: zarf v0.84 src/pkg/packager/assemble and src/pkg/archive.
 */
export async function buildPackage(folder: string, options: PackageOptions = {}): Promise<BuiltPackage> {
  const name = options.name ?? 'sample'
  const format = options.format ?? 'tar.zst'
  const files = new Map(Object.entries({ ...generatedLayers(options), ...options.files }))
  const checksums = tampered(checksumLines(files), options.tamper?.checksums)
  const definition = tampered(definitionText(name, checksums, options), options.tamper?.definition)
  files.set('checksums.txt', checksums).set('zarf.yaml', definition)
  for (const [path, content] of Object.entries(options.unlisted ?? {})) files.set(path, content)

  const sorted = [...files].toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  const entries = tampered(withFolders(sorted), options.tamper?.entries)
  const fileName = options.fileName ?? conventionalName(name, format, options)
  const path = join(folder, fileName)
  await (format === 'directory' ? writeFolder(path, entries) : writeArchive(path, entries, options))
  const listed = sorted.map(([path, content]) => ({ path, digest: `sha256:${sha256(content)}`, size: sizeOf(content) }))
  return { path, fileName, name, contentBytes: listed.reduce((sum, file) => sum + file.size, 0), files: listed }
}

/** The bytes of a content, in chunks of 1 MiB at most. */
export function* contentChunks(content: FileContent): Generator<Buffer> {
  if (typeof content === 'string' || Buffer.isBuffer(content)) {
    yield Buffer.from(content)
    return
  }
  const key = createHash('sha256')
    .update(`${content.seed ?? 1}`)
    .digest()
    .subarray(0, 16)
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16))
  const share = content.compressible ?? 0.25
  for (let left = content.bytes; left > 0; left -= MIB) {
    const length = Math.min(left, MIB)
    const chunk = cipher.update(Buffer.alloc(length))
    chunk.fill(`sample content ${content.seed ?? 1}\n`, 0, Math.round(length * share))
    yield chunk
  }
}

/** Writes entries as they are, in this order, to a `.tar` or, by its name, a `.tar.zst`. */
export async function writeArchive(path: string, entries: readonly ArchiveEntry[], options: { level?: number } = {}) {
  await mkdir(dirname(path), { recursive: true })
  const archive = pack({ highWaterMark: MIB })
  const filling = fill(archive, entries)
  const target = createWriteStream(path, { highWaterMark: 4 * MIB })
  // tar-stream's own stream class is not Node's: pipeline needs it wrapped.
  const source = Readable.from(archive, { objectMode: false, highWaterMark: MIB })
  await Promise.all([
    path.endsWith('.zst') ? pipeline(source, compressor(options.level ?? 3), target) : pipeline(source, target),
    filling,
  ])
}

async function fill(archive: Pack, entries: readonly ArchiveEntry[]): Promise<void> {
  for (const { header, content } of entries) {
    if (content === undefined) {
      archive.entry(header)
      continue
    }
    const entry = archive.entry({ ...header, size: header.size ?? sizeOf(content) })
    const done = once(entry, 'finish')
    for (const chunk of contentChunks(content)) {
      if (!entry.write(chunk)) await once(entry, 'drain')
    }
    entry.end(null)
    await done
  }
  archive.finalize()
}

function compressor(level: number) {
  return createZstdCompress({
    chunkSize: MIB,
    // zarf's encoder writes the content checksum too.
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  })
}

async function writeFolder(folder: string, entries: readonly ArchiveEntry[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const { header, content } of entries) {
    if (content === undefined) continue
    const path = join(folder, header.name)
    await mkdir(dirname(path), { recursive: true })
    await pipeline(Readable.from(contentChunks(content), { objectMode: false }), createWriteStream(path))
  }
}

function generatedLayers(options: PackageOptions): Record<string, FileContent> {
  const { layers = 2, layerBytes = 4096, compressible = 0.25, seed = 1 } = options
  const names = layerNames(layers)
  return Object.fromEntries(
    names.map((name, index) => [
      `components/${name}.tar`,
      {
        bytes: typeof layerBytes === 'number' ? layerBytes : (layerBytes[index] ?? 0),
        compressible,
        seed: seed * 100_000 + index,
      },
    ]),
  )
}

function layerNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `layer-${String(index).padStart(4, '0')}`)
}

function checksumLines(files: ReadonlyMap<string, FileContent>): string {
  const lines = [...files].map(([path, content]) => `${sha256(content)} ${path}`)
  return `${lines.toSorted().join('\n')}\n`
}

function definitionText(name: string, checksums: string, options: PackageOptions): string {
  const { version = '1.0.0', architecture = 'amd64', flavor, format, layers = 2 } = options
  return dump({
    kind: 'ZarfPackageConfig',
    metadata: {
      name,
      ...(version === null ? {} : { version }),
      ...(format === 'tar' ? { uncompressed: true } : {}),
      architecture,
      aggregateChecksum: sha256(checksums),
      ...options.metadata,
    },
    build: {
      architecture,
      timestamp: 'Mon, 23 Nov 2026 22:37:10 +0000',
      version: 'v0.84.0',
      migrations: ['scripts-to-actions', 'pluralize-set-variable'],
      ...(flavor === undefined ? {} : { flavor }),
      provenanceFiles: ['checksums.txt'],
      ...options.build,
    },
    components: layerNames(Math.max(layers, 1)).map((layer) => ({ name: layer, required: true })),
  })
}

function conventionalName(name: string, format: string, options: PackageOptions): string {
  const { version = '1.0.0', architecture = 'amd64', flavor } = options
  const parts = ['zarf-package', name, architecture, version, flavor].filter((part) => part)
  return `${parts.join('-')}${format === 'directory' ? '' : `.${format}`}`
}

function withFolders(files: readonly (readonly [string, FileContent])[]): ArchiveEntry[] {
  const entries: ArchiveEntry[] = []
  const made = new Set<string>()
  for (const [path, content] of files) {
    const parts = path.split('/')
    for (let depth = 1; depth < parts.length; depth++) {
      const folder = parts.slice(0, depth).join('/')
      if (!made.has(folder))
        entries.push({ header: { name: folder, type: 'directory', mode: 0o755, mtime: new Date(0) } })
      made.add(folder)
    }
    entries.push({ header: { name: path, mode: 0o644, mtime: new Date(0) }, content })
  }
  return entries
}

function tampered<T>(value: T, change: ((value: T) => T) | undefined): T {
  return change ? change(value) : value
}

function sizeOf(content: FileContent): number {
  if (typeof content === 'string') return Buffer.byteLength(content)
  return Buffer.isBuffer(content) ? content.length : content.bytes
}

function sha256(content: FileContent): string {
  const hash = createHash('sha256')
  for (const chunk of contentChunks(content)) hash.update(chunk)
  return hash.digest('hex')
}

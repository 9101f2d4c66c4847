import { type Descriptor, TITLE_ANNOTATION, titleOrDigest } from '../../content/descriptor.ts'
import { type Digest, digestOf } from '../../content/digest.ts'
import { verified } from '../../content/hashing/verify.ts'
import { ZARF_LAYER } from '../../content/media-types.ts'
import { readAll, streamOf } from '../../content/streams.ts'
import { AppError, toAppError } from '../../lib/errors.ts'
import { createBreathing } from '../../lib/loop/breathe.ts'
import { type InnerFiles, listPassingFiles, MAX_KEPT_BYTES } from '../../zarf/inner-files.ts'
import {
  checksumMismatch,
  type IndexedPackage,
  type OpenedPackage,
  type PackageContents,
  type PackageEntry,
  type StreamedPackage,
} from '../../zarf/package.ts'
import { innerOptions, isInnerTar } from './inspectable.ts'
import { innerOf } from './ranged.ts'
import { innerBytes } from './weights.ts'

/** What one reading of an archive finds out: of a compressed one the last file says what package it is. */
export interface ScannedPackage {
  readonly contents: PackageContents
  /** Small files that went by, verified. */
  readonly small: ReadonlyMap<Digest, Buffer>
  /** What lies in the tars of the package, by their titles; the error of one that cannot be read is told to who asks for it. */
  readonly inner: ReadonlyMap<string, InnerFiles | AppError>
  /** What it takes to keep, about. */
  readonly bytes: number
}

/** Image manifests, documentation, values of the package as a whole. */
const SMALL_BYTES = 64 * 1024
const BYTES_PER_FILE = 1024
/** Of all tars of the package. */
const MAX_INNER_BYTES = 12 * 2 ** 20

interface ScanOptions {
  signal: AbortSignal
  /** Whether the tars of the package are listed. Default: they are. */
  tars?: boolean
}

export async function scanPackage(opened: OpenedPackage, options: ScanOptions): Promise<ScannedPackage> {
  return opened.kind === 'indexed' ? await scanIndexed(opened, options) : await scanStreamed(opened, options)
}

async function scanIndexed(opened: IndexedPackage, { signal, tars = true }: ScanOptions): Promise<ScannedPackage> {
  const { contents } = opened
  const found = createFound()
  const open = (layer: Descriptor, options: object) => opened.open(layer, { ...options, signal })
  const read = async (layer: Descriptor) =>
    readAll(verified(await open(layer, {}), layer, checksumMismatch(titleOrDigest(layer), layer.digest)))
  for (const { path, size, digest } of contents.files) {
    const layer = layerOf({ path, size, digest })
    if (found.wants(layer.size)) found.keep(digest, await read(layer))
    if (tars && isInnerTar(path)) await found.list(path, () => innerOf(layer, { read, open }))
  }
  return found.all(contents)
}

async function scanStreamed(opened: StreamedPackage, { signal, tars = true }: ScanOptions): Promise<ScannedPackage> {
  const found = createFound()
  const met: PackageEntry[] = []
  const breathe = createBreathing()
  await using pass = opened.pass({ signal })
  for await (const entry of pass) {
    await breathe()
    met.push(entry)
    if (entry.bytes) found.keep(entry.digest, entry.bytes)
    else if (tars && isInnerTar(entry.path)) await passTar(entry, found)
    else if (found.wants(entry.size)) found.keep(entry.digest, await readAll(entry.content()))
  }
  return found.all(await opened.conclude(met))
}

async function passTar(entry: PackageEntry, found: Found): Promise<void> {
  const { path } = entry
  if (!found.wants(entry.size)) {
    return await found.list(path, () => listPassingFiles(entry.content(), innerOptions(path)))
  }
  const bytes = await readAll(entry.content())
  found.keep(entry.digest, bytes)
  await found.list(path, () => listPassingFiles(streamOf(bytes), innerOptions(path)))
}

type Found = ReturnType<typeof createFound>

function createFound() {
  const small = new Map<Digest, Buffer>()
  const inner = new Map<string, InnerFiles | AppError>()
  let [smallBytes, tarBytes] = [0, 0]
  return {
    wants: (size: number) => size <= SMALL_BYTES && smallBytes + size <= MAX_KEPT_BYTES,
    /** Metadata files, which are few, whatever their size. */
    keep(digest: Digest, bytes: Buffer): void {
      if (small.has(digest) || digestOf(bytes) !== digest) return
      smallBytes += bytes.length
      small.set(digest, bytes)
    },
    async list(title: string, list: () => Promise<InnerFiles>): Promise<void> {
      try {
        const files = tarBytes > MAX_INNER_BYTES ? tooMuch(title) : await list()
        inner.set(title, files)
        tarBytes += files instanceof AppError ? 0 : innerBytes(files)
      } catch (error) {
        const told = toAppError(error)
        // What ends the archive ends the pass as well.
        if (!OF_THE_TAR.has(told.code)) throw error
        inner.set(title, told)
      }
    },
    all: (contents: PackageContents): ScannedPackage => ({
      contents,
      small,
      inner,
      bytes: smallBytes + tarBytes + contents.files.length * BYTES_PER_FILE + contents.config.bytes.length * 2,
    }),
  }
}

const OF_THE_TAR: ReadonlySet<string> = new Set([
  'PACKAGE_INVALID',
  'PACKAGE_TRUNCATED',
  'PACKAGE_TOO_LARGE',
  'PACKAGE_UNSAFE_PATH',
])

function tooMuch(title: string): AppError {
  return new AppError('PACKAGE_TOO_LARGE', `the tars of this package hold too many files to list ${title}, too`, {
    hint: 'Pull the package and look into its archive.',
    details: { path: title, limit: MAX_INNER_BYTES },
  })
}

export function layerOf({ path, digest, size }: Pick<PackageEntry, 'path' | 'digest' | 'size'>): Descriptor {
  return { mediaType: ZARF_LAYER, digest, size, annotations: { [TITLE_ANNOTATION]: path } }
}

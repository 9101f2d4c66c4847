import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { ByteStream, ContentSource, OpenOptions } from '../../content/endpoints.ts'
import type { OpenedFile } from '../../content/opened.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import { AppError } from '../../lib/errors.ts'
import { FileTarInput } from '../../zarf/archive/tar-input.ts'
import { type Bundle, readBundle } from '../contents/bundle.ts'
import { BundleHead, checkBytes, checkSize } from './bundle-head.ts'
import { bundleEntries, type BundleEntry } from './bundle-entries.ts'

/** A bundle whose blobs are known at once and read where they lie, in any order: in a `.tar`, or in the store. */
export interface IndexedBundle extends ContentSource, AsyncDisposable {
  readonly kind: 'indexed-bundle'
  readonly fileName: string
  /** Bytes of the archive, or of the blobs. */
  readonly sourceBytes: number
  readonly bundle: Bundle
  has(digest: Digest): boolean
  /** A small blob's bytes, checked. */
  readBlob(blob: Descriptor): Promise<Buffer>
}

/** One hop over the headers of a `.tar`, then the small files. Throws PACKAGE_*, MANIFEST_*, DIGEST_MISMATCH, SIZE_MISMATCH. */
export async function openIndexedBundle(
  file: OpenedFile,
  fileName: string,
  signal: AbortSignal,
): Promise<IndexedBundle> {
  return await ArchiveBundle.open(file, fileName, signal)
}

class ArchiveBundle implements IndexedBundle {
  readonly kind = 'indexed-bundle'
  readonly fileName: string
  readonly sourceBytes: number
  readonly #file: OpenedFile
  readonly #blobs: ReadonlyMap<Digest, BundleEntry>
  readonly bundle: Bundle

  private constructor(file: OpenedFile, fileName: string, { blobs, bundle }: Found) {
    this.#file = file
    this.#blobs = blobs
    this.bundle = bundle
    this.fileName = fileName
    this.sourceBytes = file.size
  }

  static async open(file: OpenedFile, fileName: string, signal: AbortSignal): Promise<ArchiveBundle> {
    const blobs = new Map<Digest, BundleEntry>()
    let index: BundleEntry | undefined
    for await (const entry of bundleEntries(new FileTarInput(file), fileName)) {
      throwIfAborted(signal)
      if (entry.is === 'index') index = entry
      else if (entry.is !== 'layout') blobs.set(entry.is, entry)
    }
    const head = new BundleHead(fileName)
    if (index) head.takeIndex(await readEntry(file, index))
    for (let left = Infinity; head.missing.length < left; ) {
      left = head.missing.length
      for (const blob of head.missing) {
        const entry = blobs.get(blob.digest)
        if (!entry) continue
        checkSize(blob, entry.size, fileName)
        head.take(blob.digest, await readEntry(file, entry))
        left = Infinity
      }
    }
    const read = async (blob: Descriptor): Promise<Buffer> => head.read(blob)
    const bundle = await readBundle(head.raw, { read, where: fileName, signal })
    for (const blob of bundle.blobs) {
      const entry = blobs.get(blob.digest)
      if (entry) checkSize(blob, entry.size, fileName)
    }
    return new ArchiveBundle(file, fileName, { blobs, bundle })
  }

  has(digest: Digest): boolean {
    return this.#blobs.has(digest)
  }

  async open({ digest }: Descriptor, { offset = 0, signal }: OpenOptions): Promise<ByteStream> {
    const entry = this.#blobs.get(digest)
    if (!entry) throw new AppError('BLOB_NOT_FOUND', `${this.fileName} does not hold ${digest}`, { side: 'source' })
    return this.#file.stream({ start: entry.offset + offset, end: entry.offset + entry.size, signal })
  }

  async readBlob(blob: Descriptor): Promise<Buffer> {
    const entry = this.#blobs.get(blob.digest)
    if (!entry)
      throw new AppError('BLOB_NOT_FOUND', `${this.fileName} does not hold ${blob.digest}`, { side: 'source' })
    const bytes = await readEntry(this.#file, entry)
    checkBytes(blob, bytes, this.fileName)
    return bytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]()
  }
}

interface Found {
  readonly blobs: ReadonlyMap<Digest, BundleEntry>
  readonly bundle: Bundle
}

async function readEntry(file: OpenedFile, { offset, size }: BundleEntry): Promise<Buffer> {
  return await file.read(Buffer.alloc(size), offset)
}

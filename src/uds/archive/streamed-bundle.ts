import { type Descriptor, titleOrDigest } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { ByteStream, OpenOptions } from '../../content/endpoints.ts'
import type { OpenedFile } from '../../content/opened.ts'
import { bufferOpener, skipBytes, streamOf } from '../../content/streams.ts'
import { AppError } from '../../lib/errors.ts'
import { entryContent } from '../../zarf/archive/entry-content.ts'
import { readTar, type ReadTarOptions, readWindow } from '../../zarf/archive/packed-tar.ts'
import type { StreamTarInput } from '../../zarf/archive/tar-input.ts'
import type { PackageEntry, PackagePass, PassOptions } from '../../zarf/contents/types.ts'
import { type Bundle, readBundle } from '../contents/bundle.ts'
import { BundleHead, checkBytes, checkSize, SMALL_BYTES } from './bundle-head.ts'
import { bundleEntries, type BundleEntry } from './bundle-entries.ts'

export interface StreamedBundleOptions {
  maxWindowBytes?: number
  /** How many passes at once are worth while, where each is a download. */
  maxReaders?: number
}

/** Kept unasked of a head whose order is not that of uds create. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024
/** Blobs that nothing names: uds writes none, and a few MB of zstd may be hundreds of GB of them. */
const MAX_EXTRA_BYTES = 16 * 1024 * 1024
/** Image manifests, from which it is told what may be left out: of all packages together. */
const MAX_IMAGE_MANIFEST_BYTES = 16 * 1024 * 1024
const IMAGE_MANIFEST = /^[^/]+\/images\/(?:index\.json|blobs\/)/
/** What packages are checked by, of all together: the first reading for any of it takes all, as others chose how many there are. */
const METADATA = /^[^/]+\/(?:zarf\.yaml|zarf\.yaml\.sig|zarf\.bundle\.sig|checksums\.txt)$/
const MAX_METADATA_BYTES = 16 * 1024 * 1024
/** What is not kept costs a reading each; with the order and sizes that uds makes there are a few. */
const MAX_READINGS = 100

/** A bundle in a `.tar.zst`, or in a `.tar` that is read in one go. As a StreamedPackage: each pass decompresses for itself. */
export class StreamedBundle implements AsyncDisposable {
  readonly kind = 'streamed-bundle'
  readonly fileName: string
  readonly sourceBytes: number
  readonly windowBytes: number
  readonly maxReaders?: number
  readonly #file: OpenedFile
  readonly #maxWindowBytes: number | undefined
  readonly #kept = new Map<Digest, Buffer>()
  #keptBytes = 0
  #readings = 0
  #bundle: Bundle | undefined

  constructor(
    file: OpenedFile,
    fileName: string,
    { windowBytes, maxWindowBytes, maxReaders }: StreamedBundleOptions & { windowBytes: number },
  ) {
    this.#file = file
    this.#maxWindowBytes = maxWindowBytes
    this.fileName = fileName
    this.sourceBytes = file.size
    this.windowBytes = windowBytes
    if (maxReaders !== undefined) this.maxReaders = maxReaders
  }

  static async open(file: OpenedFile, fileName: string, options: StreamedBundleOptions): Promise<StreamedBundle> {
    const windowBytes = await readWindow(file, fileName, options.maxWindowBytes)
    return new StreamedBundle(file, fileName, { ...options, windowBytes })
  }

  /** From the archive's beginning, where uds create puts all of it. Throws PACKAGE_*, MANIFEST_*, DIGEST_MISMATCH. */
  async read(options: PassOptions): Promise<Bundle> {
    if (this.#bundle) return this.#bundle
    const head = new BundleHead(this.fileName)
    const kept = new Map<Digest, Buffer>()
    for (let before = -1; !head.isWhole && head.progress > before; ) {
      before = head.progress
      await this.#readHead(head, kept, options)
    }
    const read = async (blob: Descriptor): Promise<Buffer> => head.read(blob)
    this.#bundle = await readBundle(head.raw, { read, where: this.fileName, signal: options.signal })
    return this.#bundle
  }

  /**
   * A pass over the blobs that the bundle names, but its config; anything else is passed over, but not much of it. `read` comes
   * first.
   */
  pass({ signal, onRead }: PassOptions): PackagePass {
    const so = { taken: 0, unpacked: 0, extra: 0 }
    const estimate = (): number | undefined => this.#estimate(so)
    const input = this.#input({
      signal,
      onMade(made) {
        Object.assign(so, made)
        onRead?.(so.taken, estimate())
      },
    })
    const entries = this.#entries(input, so)
    return {
      get sourceBytesRead() {
        return so.taken
      },
      get contentEstimate() {
        return estimate()
      },
      [Symbol.asyncIterator]: () => entries,
      async [Symbol.asyncDispose]() {
        await entries.return(undefined)
      },
    }
  }

  async open(descriptor: Descriptor, { offset = 0, signal }: OpenOptions): Promise<ByteStream> {
    const kept = this.#kept.get(descriptor.digest)
    return kept ? await bufferOpener(kept)({ offset, signal }) : this.#blob(descriptor, { offset, signal })
  }

  /** Bytes of small blobs, each checked; those that are not there are left out. One pass, or none for what a pass has kept. */
  async readBlobs(wanted: readonly Descriptor[], options: PassOptions): Promise<ReadonlyMap<Digest, Buffer>> {
    const missing = wanted.filter(({ digest }) => !this.#kept.has(digest))
    const fresh = missing.length > 0 ? await this.#readInOneGo(missing, options) : undefined
    const found = new Map<Digest, Buffer>()
    for (const blob of wanted) {
      const bytes = this.#kept.get(blob.digest) ?? fresh?.get(blob.digest)
      if (!bytes) continue
      checkBytes(blob, bytes, this.fileName)
      found.set(blob.digest, bytes)
    }
    return found
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]()
  }

  /** What the bundle names, or less where the archive seems not to hold all of it, as it need not. */
  #estimate({ taken, unpacked }: { taken: number; unpacked: number }): number | undefined {
    if (!this.#bundle || taken === 0) return undefined
    const named = this.#bundle.blobs.reduce((sum, { size }) => sum + size, 0)
    return Math.min(named, Math.round((unpacked / taken) * this.sourceBytes))
  }

  async #readInOneGo(wanted: readonly Descriptor[], options: PassOptions): Promise<Map<Digest, Buffer>> {
    const along = this.#metadata()
    this.#readings += 1
    if (this.#readings > MAX_READINGS) throw tooManyReadings(this.fileName)
    const all = new Map([...along.values(), ...wanted].map((blob) => [blob.digest as string, blob]))
    const found = new Map<Digest, Buffer>()
    const input = this.#input(options)
    try {
      for await (const { is, size } of bundleEntries(input, this.fileName)) {
        const blob = all.get(is)
        if (!blob || found.has(blob.digest)) continue
        checkSize(blob, size, this.fileName)
        const bytes = await input.take(size)
        found.set(blob.digest, bytes)
        if (along.has(blob.digest)) this.#kept.set(blob.digest, bytes)
        if (found.size === all.size) break
      }
    } finally {
      await input.close()
    }
    return found
  }

  /** What the first reading takes along. */
  #metadata(): Map<Digest, Descriptor> {
    const along = new Map<Digest, Descriptor>()
    if (this.#readings > 0) return along
    let bytes = 0
    for (const blob of this.#bundle?.blobs ?? []) {
      if (!METADATA.test(titleOrDigest(blob)) || bytes + blob.size > MAX_METADATA_BYTES) continue
      bytes += blob.size
      along.set(blob.digest, blob)
    }
    return along
  }

  async #readHead(head: BundleHead, kept: Map<Digest, Buffer>, { signal, onRead }: PassOptions): Promise<void> {
    const input = this.#input({ signal, ...(onRead ? { onMade: ({ taken }) => onRead(taken) } : {}) })
    let keptBytes = 0
    const takeKept = (): void => {
      for (const { digest } of head.missing) {
        const bytes = kept.get(digest)
        if (bytes) head.take(digest, bytes)
      }
    }
    try {
      for await (const { is, size } of bundleEntries(input, this.fileName)) {
        if (is === 'layout') continue
        if (is === 'index') head.takeIndex(await input.take(size))
        else if (head.wants(is)) head.take(is, await this.#small(input, head.missing, { digest: is, size }))
        else if (size <= SMALL_BYTES && keptBytes + size <= MAX_KEPT_BYTES && !kept.has(is)) {
          kept.set(is, await input.take(size))
          keptBytes += size
          continue
        } else continue
        for (let left = Infinity; head.missing.length < left; ) {
          left = head.missing.length
          takeKept()
        }
        if (head.isWhole) return
      }
    } finally {
      await input.close()
    }
  }

  async #small(
    input: StreamTarInput,
    wanted: readonly Descriptor[],
    { digest, size }: { digest: Digest; size: number },
  ): Promise<Buffer> {
    const blob = wanted.find((each) => each.digest === digest)
    if (blob) checkSize(blob, size, this.fileName)
    return await input.take(size)
  }

  async *#entries(input: StreamTarInput, so: { taken: number; extra: number }): AsyncGenerator<PackageEntry> {
    const bundle = this.#bundle
    if (!bundle) throw new AppError('INTERNAL', `the head of ${this.fileName} was not read`)
    const blobs = new Map(bundle.blobs.map((blob) => [blob.digest, blob]))
    const apart = new Set<Digest>([bundle.raw.digest, bundle.config.descriptor.digest])
    try {
      for await (const entry of bundleEntries(input, this.fileName)) {
        const { is } = entry
        if (is === 'index' || is === 'layout' || apart.has(is)) continue
        const blob = blobs.get(is)
        if (blob) yield await this.#entry(input, entry, blob)
        else so.extra += entry.size
        if (so.extra > MAX_EXTRA_BYTES) throw tooMuchExtra(this.fileName)
      }
      await input.drain()
      await this.#file.checkUnchanged()
      so.taken = this.sourceBytes
    } finally {
      await input.close()
    }
  }

  async #entry(input: StreamTarInput, entry: BundleEntry, blob: Descriptor): Promise<PackageEntry> {
    const path = titleOrDigest(blob)
    const { digest, size } = blob
    checkSize(blob, entry.size, this.fileName)
    const kept = await this.#keep(input, blob)
    if (!kept) return { path, size, digest, bytes: undefined, content: () => entryContent(input, entry) }
    return { path, size, digest, bytes: kept, content: () => streamOf(kept) }
  }

  async #keep(input: StreamTarInput, blob: Descriptor): Promise<Buffer | undefined> {
    const { digest, size } = blob
    if (size > SMALL_BYTES || !IMAGE_MANIFEST.test(titleOrDigest(blob)) || this.#kept.has(digest)) return undefined
    if (this.#keptBytes + size > MAX_IMAGE_MANIFEST_BYTES) return undefined
    const bytes = await input.take(size)
    this.#keptBytes += size
    this.#kept.set(digest, bytes)
    return bytes
  }

  async *#blob(descriptor: Descriptor, { offset, signal }: { offset: number; signal: AbortSignal }): ByteStream {
    await using pass = this.pass({ signal })
    for await (const entry of pass) {
      if (entry.digest !== descriptor.digest) continue
      yield* skipBytes(entry.content(), offset)
      return
    }
    throw new AppError('BLOB_NOT_FOUND', `${this.fileName} does not hold ${titleOrDigest(descriptor)}`, {
      side: 'source',
      details: { digest: descriptor.digest },
    })
  }

  #input({ signal, onMade }: Pick<ReadTarOptions, 'signal' | 'onMade'>): StreamTarInput {
    const maxWindowBytes = this.#maxWindowBytes
    return readTar(this.#file, this.fileName, {
      signal,
      ...(onMade ? { onMade } : {}),
      ...(maxWindowBytes === undefined ? {} : { maxWindowBytes }),
    })
  }
}

function tooMuchExtra(fileName: string): AppError {
  return new AppError(
    'PACKAGE_INVALID',
    `${fileName} holds more than ${MAX_EXTRA_BYTES} bytes that belong to nothing in the bundle`,
    {
      hint: 'The bundle is damaged or was put together wrongly: make it again with uds create.',
    },
  )
}

function tooManyReadings(fileName: string): AppError {
  return new AppError('PACKAGE_TOO_LARGE', `${fileName} would have to be read more than ${MAX_READINGS} times`, {
    hint: 'Its small files do not come first, or are large: make it again with uds create.',
    details: { limit: MAX_READINGS },
  })
}

import { type Descriptor, descriptorTitle } from '../../content/descriptor.ts'
import type { ByteStream, OpenOptions } from '../../content/endpoints.ts'
import type { OpenedFile } from '../../content/opened.ts'
import { bufferOpener, skipBytes } from '../../content/streams.ts'
import { AppError } from '../../lib/errors.ts'
import { archiveEntries, type Checksums, readChecksums } from './archive-pass.ts'
import { missingFile, packageContents } from '../contents/contents.ts'
import { recall, remember } from './known-packages.ts'
import { CHECKSUMS, checkMetadataSize } from '../layout/metadata-files.ts'
import { guessFromFileName } from '../contents/file-name.ts'
import { tarEntries } from '../archive/tar-entries.ts'
import { atEntry, StreamTarInput } from '../archive/tar-input.ts'
import type { PackageContents, PackageEntry, PackageIdentity, PackagePass, StreamedPackage } from '../contents/types.ts'
import { decompress } from '../archive/zstd.ts'
import { MAX_HEADER_BYTES, parseFrameStart, truncatedZstd } from '../archive/zstd-frames.ts'

type PassOptions = { signal: AbortSignal; onRead?: (bytesRead: number) => void }

/** Opens a `.tar.zst`. Reads its first frame's header only. */
export async function openStreamedPackage(file: OpenedFile, fileName: string): Promise<StreamedPackage> {
  return new CompressedPackage(file, fileName, await firstWindow(file))
}

class CompressedPackage implements StreamedPackage {
  readonly kind = 'streamed'
  readonly format = 'tar.zst'
  readonly fileName: string
  readonly sourceBytes: number
  readonly windowBytes: number
  readonly guess: PackageIdentity | undefined
  readonly #file: OpenedFile
  #checksums: Checksums | undefined

  constructor(file: OpenedFile, fileName: string, windowBytes: number) {
    this.#file = file
    this.fileName = fileName
    this.sourceBytes = file.size
    this.windowBytes = windowBytes
    this.guess = guessFromFileName(fileName)
  }

  get known(): PackageContents | undefined {
    return recall(this.#file.identity)
  }

  async declared(options: { signal: AbortSignal }): ReturnType<StreamedPackage['declared']> {
    return (await this.#findChecksums(options)).declared
  }

  pass(options: PassOptions): PackagePass {
    let bytesRead = 0
    const onRead = (bytes: number): void => {
      bytesRead += bytes
      options.onRead?.(bytesRead)
    }
    const entries = this.#entries({ signal: options.signal, onRead })
    return {
      get sourceBytesRead() {
        return bytesRead
      },
      [Symbol.asyncIterator]: () => entries,
      async [Symbol.asyncDispose]() {
        await entries.return(undefined)
      },
    }
  }

  conclude(entries: readonly PackageEntry[]): PackageContents {
    const contents = packageContents(entries)
    remember(this.#file.identity, contents)
    return contents
  }

  async scan(options: PassOptions): Promise<PackageContents> {
    const met: PackageEntry[] = []
    await using pass = this.pass(options)
    for await (const entry of pass) met.push(entry)
    return this.conclude(met)
  }

  async open(descriptor: Descriptor, { offset = 0, signal }: OpenOptions): Promise<ByteStream> {
    const config = this.known?.config
    if (config?.descriptor.digest === descriptor.digest) return bufferOpener(config.bytes)({ offset, signal })
    return this.#fileBytes(descriptor, { offset, signal })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]()
  }

  async *#fileBytes(descriptor: Descriptor, { offset, signal }: { offset: number; signal: AbortSignal }): ByteStream {
    const title = descriptorTitle(descriptor)
    await using pass = this.pass({ signal })
    for await (const entry of pass) {
      if (entry.digest !== descriptor.digest || (title !== undefined && entry.path !== title)) continue
      yield* skipBytes(entry.content(), offset)
      return
    }
    throw new AppError('BLOB_NOT_FOUND', `the package ${this.fileName} does not hold ${descriptor.digest}`, {
      side: 'source',
      details: { digest: descriptor.digest, ...(title === undefined ? {} : { path: title }) },
    })
  }

  async *#entries(options: { signal: AbortSignal; onRead: (bytes: number) => void }): AsyncGenerator<PackageEntry> {
    const input = this.#input(options)
    try {
      yield* archiveEntries(input, () => this.#findChecksums(options))
      await this.#file.checkUnchanged()
    } finally {
      await input.close()
    }
  }

  /** checksums.txt comes first in zarf's archives; from other writers it is looked for by a reading of its own. */
  async #findChecksums({ signal }: { signal: AbortSignal }): Promise<Checksums> {
    if (this.#checksums) return this.#checksums
    const input = this.#input({ signal })
    let at: string | undefined
    let isLayout = false
    try {
      for await (const entry of tarEntries(input)) {
        at = entry.path
        isLayout ||= at === 'oci-layout'
        if (at !== CHECKSUMS) continue
        checkMetadataSize(entry)
        this.#checksums = readChecksums(await input.take(entry.size))
        return this.#checksums
      }
    } catch (error) {
      throw atEntry(error, at)
    } finally {
      await input.close()
    }
    throw isLayout ? bundleInstead(this.fileName) : missingFile(CHECKSUMS)
  }

  #input({ signal, onRead }: { signal: AbortSignal; onRead?: (bytes: number) => void }): StreamTarInput {
    return new StreamTarInput(decompress(this.#file.stream({ signal, ...(onRead ? { onRead } : {}) })))
  }
}

async function firstWindow(file: OpenedFile): Promise<number> {
  for (let at = 0; ; ) {
    if (at >= file.size) throw truncatedZstd()
    const target = Buffer.alloc(Math.min(MAX_HEADER_BYTES, file.size - at))
    const start = parseFrameStart(await file.read(target, at))
    if ('windowBytes' in start) return start.windowBytes
    at += start.skipBytes
  }
}

function bundleInstead(fileName: string): AppError {
  return new AppError('PACKAGE_INVALID', `${fileName} is an OCI layout, such as a UDS bundle, and not a Zarf package`, {
    hint: 'A bundle is copied between registries; what can be published from a file is a Zarf package.',
  })
}

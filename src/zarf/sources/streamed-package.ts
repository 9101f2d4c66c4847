import { type Descriptor, descriptorTitle } from '../../content/descriptor.ts'
import type { ByteStream, OpenOptions } from '../../content/endpoints.ts'
import type { OpenedFile } from '../../content/opened.ts'
import { bufferOpener, skipBytes } from '../../content/streams.ts'
import { AppError } from '../../lib/errors.ts'
import { archiveEntries, type Checksums, PassState, readChecksums, scanArchive } from './archive-pass.ts'
import { insteadOfPackage, packageContents, TELLING } from '../contents/contents.ts'
import { recall, remember } from './known-packages.ts'
import { packEntries, unpackEntries } from './packed-entries.ts'
import { CHECKSUMS, checkMetadataSize } from '../layout/metadata-files.ts'
import { guessFromFileName } from '../contents/file-name.ts'
import { tarEntries } from '../archive/tar-entries.ts'
import { atEntry, type StreamTarInput } from '../archive/tar-input.ts'
import type {
  PackageContents,
  PackageEntry,
  PackageIdentity,
  PackageMemory,
  PackagePass,
  PassOptions,
  StreamedPackage,
} from '../contents/types.ts'
import type { Unpacking } from '../archive/zstd.ts'
import { readTar, readWindow } from '../archive/packed-tar.ts'
import { estimateContent } from './size-estimate.ts'

export interface StreamedOptions {
  memory?: PackageMemory
  maxWindowBytes?: number
  /** StreamedPackage's. */
  maxReaders?: number
}

/** Opens a `.tar.zst`, or a `.tar` that is to be read from its beginning to its end. Reads its first frame's header only. */
export async function openStreamedPackage(
  file: OpenedFile,
  fileName: string,
  options: StreamedOptions = {},
): Promise<StreamedPackage> {
  const { memory, maxWindowBytes } = options
  const windowBytes = await readWindow(file, fileName, maxWindowBytes)
  if (memory && !recall(file.identity)) await recallFrom(memory, file.identity)
  return new ArchivePackage(file, fileName, { ...options, windowBytes })
}

async function tell(memory: PackageMemory, identity: string, entries: readonly PackageEntry[]): Promise<void> {
  await memory.remember(identity, await packEntries(entries))
}

/** What another process learnt; what does not hold together is as good as nothing. */
async function recallFrom(memory: PackageMemory, identity: string): Promise<void> {
  const packed = await memory.recall(identity)
  const entries = packed && (await unpackEntries(packed))
  if (!entries) return
  try {
    remember(identity, await packageContents(entries))
  } catch {
    // It is read again.
  }
}

class ArchivePackage implements StreamedPackage {
  readonly kind = 'streamed'
  readonly format: 'tar' | 'tar.zst'
  readonly fileName: string
  readonly sourceBytes: number
  readonly windowBytes: number
  readonly guess: PackageIdentity | undefined
  readonly maxReaders?: number
  readonly #file: OpenedFile
  readonly #memory: PackageMemory | undefined
  readonly #maxWindowBytes: number | undefined
  #checksums: Checksums | undefined

  constructor(file: OpenedFile, fileName: string, options: StreamedOptions & { windowBytes: number }) {
    const { windowBytes, maxWindowBytes, memory, maxReaders } = options
    this.#file = file
    this.#memory = memory
    this.#maxWindowBytes = maxWindowBytes
    if (maxReaders !== undefined) this.maxReaders = maxReaders
    this.format = fileName.endsWith('.tar') ? 'tar' : 'tar.zst'
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

  pass({ signal, onRead }: PassOptions): PackagePass {
    const { size: sourceBytes } = this.#file
    const so: Unpacking = { taken: 0, unpacked: 0 }
    const estimate = (): number | undefined => estimateContent({ sourceBytes, ...so, ...state.seen })
    const onMade = (made: Unpacking): void => {
      Object.assign(so, made)
      onRead?.(so.taken, estimate())
    }
    const input = this.#input({ signal, onMade })
    const state = new PassState(input, () => this.#findChecksums({ signal }))
    // What follows the last file, and frames that are skipped, is read all the same.
    const entries = this.#entries(input, state, () => onMade({ ...so, taken: sourceBytes }))
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

  async conclude(entries: readonly PackageEntry[]): Promise<PackageContents> {
    const contents = await packageContents(entries)
    remember(this.#file.identity, contents)
    if (this.#memory) void tell(this.#memory, this.#file.identity, entries)
    return contents
  }

  scan(options: PassOptions): Promise<PackageContents> {
    return scanArchive(this, options)
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

  async *#entries(input: StreamTarInput, state: PassState, onEnd: () => void): AsyncGenerator<PackageEntry> {
    try {
      yield* archiveEntries(input, state)
      await this.#file.checkUnchanged()
      onEnd()
    } finally {
      await input.close()
    }
  }

  /** checksums.txt comes first in zarf's archives; from other writers it is looked for by a reading of its own. */
  async #findChecksums({ signal }: { signal: AbortSignal }): Promise<Checksums> {
    if (this.#checksums) return this.#checksums
    const input = this.#input({ signal })
    let at: string | undefined
    const telling = new Set<string>()
    try {
      for await (const entry of tarEntries(input)) {
        at = entry.path
        if (TELLING.has(at)) telling.add(at)
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
    throw insteadOfPackage(this.fileName, (path) => telling.has(path))
  }

  #input({ signal, onMade }: { signal: AbortSignal; onMade?: (so: Unpacking) => void }): StreamTarInput {
    const maxWindowBytes = this.#maxWindowBytes
    const options = { ...(onMade ? { onMade } : {}), ...(maxWindowBytes === undefined ? {} : { maxWindowBytes }) }
    return readTar(this.#file, this.fileName, { signal, ...options })
  }
}

import type { Digest } from '../../content/digest.ts'
import type { ByteStream, OpenOptions } from '../../content/endpoints.ts'
import type { Descriptor } from '../../content/descriptor.ts'
import { bufferOpener, streamOf } from '../../content/streams.ts'
import { type MadeFile, type MadeFiles, REPLACED, signedContents } from '../contents/signed-contents.ts'
import type {
  IndexedPackage,
  OpenedPackage,
  PackageContents,
  PackageEntry,
  PackagePass,
  PassOptions,
  StreamedPackage,
} from '../contents/types.ts'
import { DEFINITION } from '../layout/metadata-files.ts'
import { scanArchive } from './archive-pass.ts'

/** Signs a zarf.yaml: one of the same bytes gets the same signature each time it is asked for. */
export type SignFiles = (definition: Buffer) => Promise<MadeFiles>

/**
 * The package as it is once it is signed; it is closed with the one that it is made of, whose zarf.yaml is `definition` where
 * that can be read at once. The files that signing makes are held, all others come from where they lie.
 */
export async function openSigned(
  opened: OpenedPackage,
  { sign, readDefinition }: { sign: SignFiles; readDefinition: (opened: IndexedPackage) => Promise<Buffer> },
): Promise<OpenedPackage> {
  if (opened.kind === 'streamed') return new SignedArchive(opened, sign)
  const files = await sign(await readDefinition(opened))
  const contents = await signedContents(opened.contents, files)
  return {
    ...opened,
    contents,
    open: (blob: Descriptor, options: OpenOptions) =>
      openMade(blob, { contents, files }, options) ?? opened.open(blob, options),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}

function openMade(
  { digest }: Descriptor,
  { contents, files }: { contents: PackageContents | undefined; files: MadeFiles | undefined },
  options: OpenOptions,
): Promise<ByteStream> | undefined {
  const { config } = contents ?? {}
  const own = [files?.definition, files?.bundle].find((file) => file?.digest === digest)
  const bytes = own?.bytes ?? (config?.descriptor.digest === digest ? config.bytes : undefined)
  return bytes && bufferOpener(bytes)(options)
}

/** zarf.yaml comes last in zarf's archives: what is made of it is met in its place, whatever was read before it. */
class SignedArchive implements StreamedPackage {
  readonly kind = 'streamed'
  readonly maxReaders?: number
  readonly #inner: StreamedPackage
  readonly #sign: SignFiles
  /** Entries of the archive itself that no pass gives out. */
  readonly #replaced = new Map<string, PackageEntry>()
  #files: MadeFiles | undefined
  #known: PackageContents | undefined

  constructor(inner: StreamedPackage, sign: SignFiles) {
    this.#inner = inner
    this.#sign = sign
    if (inner.maxReaders !== undefined) this.maxReaders = inner.maxReaders
  }

  get format(): StreamedPackage['format'] {
    return this.#inner.format
  }

  get fileName(): string {
    return this.#inner.fileName
  }

  get sourceBytes(): number {
    return this.#inner.sourceBytes
  }

  get windowBytes(): number {
    return this.#inner.windowBytes
  }

  get guess(): StreamedPackage['guess'] {
    return this.#inner.guess
  }

  /** What an earlier run learnt is of the package before. */
  get known(): PackageContents | undefined {
    return this.#known
  }

  declared(options: { signal: AbortSignal }): Promise<ReadonlyMap<string, Digest>> {
    return this.#inner.declared(options)
  }

  pass(options: PassOptions): PackagePass {
    const pass = this.#inner.pass(options)
    const entries = this.#entries(pass)
    return {
      get sourceBytesRead() {
        return pass.sourceBytesRead
      },
      get contentEstimate() {
        return pass.contentEstimate
      },
      [Symbol.asyncIterator]: () => entries,
      async [Symbol.asyncDispose]() {
        await entries.return(undefined)
        await pass[Symbol.asyncDispose]()
      },
    }
  }

  /** The package before is checked as ever; what was made of it holds together by itself. */
  async conclude(entries: readonly PackageEntry[]): Promise<PackageContents> {
    const own = entries.filter(({ path }) => !REPLACED.has(path))
    const before = await this.#inner.conclude([...own, ...this.#replaced.values()])
    const files = this.#files
    if (!files) throw new Error('a package that holds together has a zarf.yaml, which was signed on the way')
    this.#known = await signedContents(before, files)
    return this.#known
  }

  scan(options: PassOptions): Promise<PackageContents> {
    return scanArchive(this, options)
  }

  async open(descriptor: Descriptor, { offset = 0, signal }: OpenOptions): Promise<ByteStream> {
    const made = openMade(descriptor, { contents: this.#known, files: this.#files }, { offset, signal })
    return await (made ?? this.#inner.open(descriptor, { offset, signal }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]()
  }

  async *#entries(pass: PackagePass): AsyncGenerator<PackageEntry> {
    for await (const entry of pass) {
      if (!REPLACED.has(entry.path)) {
        yield entry
        continue
      }
      this.#replaced.set(entry.path, entry)
      if (entry.path !== DEFINITION || !entry.bytes) continue
      this.#files = await this.#sign(entry.bytes)
      yield entryOf(this.#files.definition)
      yield entryOf(this.#files.bundle)
    }
  }
}

function entryOf({ path, digest, size, bytes }: MadeFile): PackageEntry {
  return { path, digest, size, bytes, content: () => streamOf(bytes) }
}

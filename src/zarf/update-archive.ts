import { type Descriptor, descriptorTitle } from '../content/descriptor.ts'
import { type Digest, digestHex } from '../content/digest.ts'
import type { ByteStream } from '../content/endpoints.ts'
import { hasherFor } from '../content/hashing/hasher.ts'
import { MAX_MANIFEST_BYTES, parseManifest, type RawManifest, rawManifest } from '../content/manifest.ts'
import { closeSource, type OpenedFile, type OpenedSource } from '../content/opened.ts'
import { AppError } from '../lib/errors.ts'
import { entryContent } from './archive/entry-content.ts'
import { readTar, readWindow } from './archive/packed-tar.ts'
import { type TarEntry, tarEntries } from './archive/tar-entries.ts'
import { atEntry, type StreamTarInput } from './archive/tar-input.ts'
import type { Unpacking } from './archive/zstd.ts'
import { checkMetadataSize, UPDATE_LIST } from './layout/metadata-files.ts'
import { type PackageLayers, packageLayers } from './pulled-package.ts'
import { allBlobs, headOf, updateBlobPath } from './update-parts.ts'
import { invalidUpdate, MAX_UPDATE_LIST_BYTES, parseUpdateList, type UpdateList } from './update/update-list.ts'

export type { UpdateList } from './update/update-list.ts'

/** An update whose list, manifest and metadata were read, and found to agree; of what follows nothing was read yet. */
export interface UpdateArchive extends AsyncDisposable {
  readonly fileName: string
  /** Bytes of the file. */
  readonly sourceBytes: number
  readonly list: UpdateList
  readonly manifest: RawManifest
  readonly layers: PackageLayers
  /** The bytes of the config, zarf.yaml, checksums.txt and signatures, each as its digest says. */
  readonly head: ReadonlyMap<Digest, Buffer>
  /**
   * The other blobs in order, once; each content once, before the next is asked for, and not hashed here. Throws PACKAGE_TRUNCATED,
   * PACKAGE_INVALID for what the list does not say, PACKAGE_CHANGED.
   */
  rest(): AsyncGenerator<UpdateBlob>
  /** One of these again, by a reading of its own from the archive's beginning. */
  reopen(blob: Descriptor): ByteStream
}

export interface UpdateBlob {
  readonly blob: Descriptor
  readonly content: () => ByteStream
}

export interface OpenUpdateOptions {
  signal: AbortSignal
  maxWindowBytes?: number
  /** Told how many of the file's bytes were read. */
  onRead?: (bytesRead: number) => void
}

/**
 * Opens an update as computeUpdate makes it, in its order and no other, as a `.tar.zst` or unpacked to a `.tar`. The source belongs to it
 * from here on, and is closed with it, also when this throws. Throws PACKAGE_FORMAT_UNSUPPORTED for what is no update and for one of
 * a later format, PACKAGE_INVALID, PACKAGE_TRUNCATED, PACKAGE_TOO_LARGE, MANIFEST_*, DIGEST_MISMATCH.
 */
export async function openUpdate(source: OpenedSource, options: OpenUpdateOptions): Promise<UpdateArchive> {
  try {
    const { fileName } = source
    if (!('file' in source)) throw noUpdate(fileName, 'is a folder')
    if (!/\.tar(?:\.zst)?$/.test(fileName)) throw noUpdate(fileName, 'does not end in .tar.zst or .tar')
    await readWindow(source.file, fileName, options.maxWindowBytes)
    return await UpdateReader.open(source.file, fileName, options)
  } catch (error) {
    await closeSource(source)
    throw error
  }
}

class UpdateReader implements UpdateArchive {
  readonly fileName: string
  readonly sourceBytes: number
  readonly list: UpdateList
  readonly manifest: RawManifest
  readonly layers: PackageLayers
  readonly head: ReadonlyMap<Digest, Buffer>
  readonly #file: OpenedFile
  readonly #options: OpenUpdateOptions
  readonly #input: StreamTarInput
  readonly #entries: AsyncGenerator<TarEntry>

  private constructor(read: ReadHead, file: OpenedFile, options: OpenUpdateOptions) {
    const { fileName, input, entries, ...found } = read
    this.fileName = fileName
    this.sourceBytes = file.size
    this.list = found.list
    this.manifest = found.manifest
    this.layers = found.layers
    this.head = found.head
    this.#file = file
    this.#options = options
    this.#input = input
    this.#entries = entries
  }

  static async open(file: OpenedFile, fileName: string, options: OpenUpdateOptions): Promise<UpdateReader> {
    const { onRead } = options
    const input = inputOf(file, fileName, {
      ...options,
      ...(onRead ? { onMade: ({ taken }: Unpacking) => onRead(taken) } : {}),
    })
    try {
      const entries = tarEntries(input)
      return new UpdateReader(await readHead({ fileName, input, entries }), file, options)
    } catch (error) {
      await input.close()
      throw error
    }
  }

  async *rest(): AsyncGenerator<UpdateBlob> {
    const { fileName } = this
    for (const blob of this.list.included.slice(this.head.size)) {
      const entry = await expected(this.#entries, blob, fileName)
      yield { blob, content: () => entryContent(this.#input, entry) }
    }
    const more = await this.#entries.next()
    if (!more.done) throw invalidUpdate(fileName, `it holds ${more.value.path}, which its list does not`)
    await this.#input.drain()
    await this.#file.checkUnchanged()
    this.#options.onRead?.(this.sourceBytes)
  }

  async *reopen(blob: Descriptor): ByteStream {
    const input = inputOf(this.#file, this.fileName, this.#options)
    try {
      for await (const entry of tarEntries(input)) {
        if (entry.path !== updateBlobPath(blob.digest)) continue
        yield* entryContent(input, entry)
        return
      }
    } finally {
      await input.close()
    }
    throw invalidUpdate(this.fileName, `it does not hold ${blob.digest}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close()
    await this.#file[Symbol.asyncDispose]()
  }
}

interface Reading {
  readonly fileName: string
  readonly input: StreamTarInput
  readonly entries: AsyncGenerator<TarEntry>
}

type ReadHead = Reading & Pick<UpdateArchive, 'list' | 'manifest' | 'layers' | 'head'>

/** What comes before the layers. All that is held in memory is bounded before it is read. */
async function readHead(reading: Reading): Promise<ReadHead> {
  const { fileName } = reading
  const list = parseUpdateList(await readList(reading), fileName)
  if (list.manifest.size > MAX_MANIFEST_BYTES) throw invalidUpdate(fileName, 'its manifest is too large to be one')
  const manifest = rawManifest(list.manifest.mediaType, await readBlob(list.manifest, reading))
  const parsed = parseManifest(manifest, `${list.manifest.digest} in ${fileName}`)
  if (manifest.digest !== list.manifest.digest) throw invalidUpdate(fileName, 'its manifest is named by no SHA-256')
  if (parsed.kind !== 'manifest') throw invalidUpdate(fileName, 'it makes an index, and not a package')
  const layers = packageLayers(parsed, `${list.manifest.digest} in ${fileName}`)
  const wanted = headOf(layers)
  checkParts(list, layers, fileName)
  const head = new Map<Digest, Buffer>()
  for (const blob of wanted) {
    checkMetadataSize({ path: descriptorTitle(blob) ?? 'the config', size: blob.size })
    head.set(blob.digest, await readBlob(blob, reading))
  }
  return { ...reading, list, manifest, layers, head }
}

async function readList({ input, entries, fileName }: Reading): Promise<Buffer> {
  const first = await entries.next()
  if (first.done || first.value.path !== UPDATE_LIST) throw noUpdate(fileName, `does not begin with ${UPDATE_LIST}`)
  const { size, path } = first.value
  if (size > MAX_UPDATE_LIST_BYTES) {
    throw new AppError('PACKAGE_TOO_LARGE', `${path} of ${fileName} has ${size} bytes`, {
      details: { path, size, limit: MAX_UPDATE_LIST_BYTES },
    })
  }
  return await taken(input, first.value)
}

async function readBlob(blob: Descriptor, { input, entries, fileName }: Reading): Promise<Buffer> {
  const bytes = await taken(input, await expected(entries, blob, fileName))
  const found = hasherFor(blob.digest).update(bytes).digest('hex')
  if (found === digestHex(blob.digest)) return bytes
  throw new AppError('DIGEST_MISMATCH', `${fileName} holds other bytes under ${blob.digest}: they have ${found}`, {
    side: 'source',
    details: { expected: blob.digest, found, path: fileName },
    hint: 'The update is damaged: download it again.',
  })
}

/** The next entry, which has to be this blob. */
async function expected(entries: AsyncGenerator<TarEntry>, blob: Descriptor, fileName: string): Promise<TarEntry> {
  const path = updateBlobPath(blob.digest)
  const next = await entries.next()
  if (next.done) throw invalidUpdate(fileName, `it ends before ${path}, which its list has`, { path })
  const { path: found, size } = next.value
  if (found !== path)
    throw invalidUpdate(fileName, `it holds ${found.slice(0, 300)} where its list has ${path}`, { path })
  if (size === blob.size) return next.value
  throw invalidUpdate(fileName, `${path} has ${size} bytes, and its list says ${blob.size}`, { path })
}

async function taken(input: StreamTarInput, { path, size }: TarEntry): Promise<Buffer> {
  try {
    return await input.take(size)
  } catch (error) {
    throw atEntry(error, path)
  }
}

/** Inside and base together are what the manifest names, each once; what vouches for it comes first, and from the archive. */
function checkParts({ included, fromBase }: UpdateList, layers: PackageLayers, fileName: string): void {
  headOf(layers).forEach((blob, at) => {
    if (included[at]?.digest !== blob.digest)
      throw invalidUpdate(fileName, `its list does not begin with what vouches for the package (${blob.digest})`)
  })
  const named = new Map(allBlobs(layers).map(({ digest, size }) => [digest, size]))
  for (const { digest, size } of [...included, ...fromBase]) {
    if (named.get(digest) !== size) {
      throw invalidUpdate(fileName, `its list has ${digest} of ${size} bytes, which its manifest has not, or not again`)
    }
    named.delete(digest)
  }
  const [left] = named.keys()
  if (left !== undefined) throw invalidUpdate(fileName, `its list lacks ${left}, which its manifest names`)
}

function inputOf(
  file: OpenedFile,
  fileName: string,
  { signal, maxWindowBytes, onMade }: OpenUpdateOptions & { onMade?: (so: Unpacking) => void },
): StreamTarInput {
  const options = { ...(onMade ? { onMade } : {}), ...(maxWindowBytes === undefined ? {} : { maxWindowBytes }) }
  return readTar(file, fileName, { signal, ...options })
}

function noUpdate(fileName: string, why: string): AppError {
  return new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${fileName} is no update of layerd: it ${why}`, {
    hint: 'An update is what GET /v1/packages/{digest}/archive?since={digest} gives. A whole package is published, not applied.',
    details: { path: fileName },
  })
}

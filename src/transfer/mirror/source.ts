import { type CopyBlobOptions, copyBlobs } from '../../content/copy-graph.ts'
import { type Descriptor, titleOrDigest } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { ContentSource, VerifyOptions } from '../../content/endpoints.ts'
import { verified } from '../../content/hashing/verify.ts'
import { parseManifest } from '../../content/manifest.ts'
import { readAll } from '../../content/streams.ts'
import { AppError } from '../../lib/errors.ts'
import type { Repository } from '../../oci/registry.ts'
import type { ContentStore } from '../../store/content-store.ts'
import {
  checksumMismatch,
  type OpenedPackage,
  type PackageContents,
  type PackagePass,
  type StreamedPackage,
} from '../../zarf/package.ts'
import { type PackageLayers, packageLayers } from '../../zarf/pulled-package.ts'
import type { OnEvent } from '../events.ts'
import { scanPackage } from '../inspect/scan.ts'
import { packageSource } from '../package-source.ts'
import { moveArchive, type MovingTarget } from '../publish/move-archive.ts'
import { checkArchitecture, type ResolveRequest, resolvePackage } from '../resolve.ts'
import { readStoredManifest, requireStored, titled } from '../stored-package.ts'
import { wrongBytes } from '../wrong-bytes.ts'

export interface MoveImagesOptions {
  readonly concurrency: number
  readonly mountFrom: NonNullable<CopyBlobOptions['mountFrom']>
  readonly signal: AbortSignal
  readonly onEvent: OnEvent
}

/** A package whose images are wanted, wherever it lies. */
export interface ImageSource extends AsyncDisposable {
  /** What errors call it. */
  readonly where: string
  /** Of the package's manifest. */
  readonly digest: Digest
  readonly layers: PackageLayers
  /** The repository that it lies in; undefined: it lies on this machine. */
  readonly repository?: Repository
  /** Throws ARCHITECTURE_NOT_FOUND for a package that is another one than was asked for. */
  checkArchitecture(architecture: string): void
  /** A small file, whole and verified. */
  read(layer: Descriptor): Promise<Buffer>
  /** Brings these of its layers over, each hashed on its way. */
  move(layers: readonly Descriptor[], target: MovingTarget, options: MoveImagesOptions): Promise<void>
}

/** Of a registry. Throws what resolving throws, PACKAGE_*. */
export async function remoteImages(
  repository: Repository,
  request: ResolveRequest,
  signal: AbortSignal,
): Promise<ImageSource> {
  const { raw, manifest, where, indexDigest } = await resolvePackage(repository, request, signal)
  const source = packageSource(repository, signal)
  return {
    where,
    digest: raw.digest,
    layers: packageLayers(manifest, where),
    repository,
    checkArchitecture(architecture) {
      if (indexDigest === undefined) checkArchitecture(architecture, request)
    },
    read: (layer) => source.read(layer),
    move: moveFrom(source, (layer) => wrongBytes(layer, repository)),
    [Symbol.asyncDispose]: async () => undefined,
  }
}

/** Of the store, which keeps it meanwhile. Throws PACKAGE_NOT_STORED, STORE_CORRUPT; PACKAGE_INCOMPLETE for what its pulls did not bring. */
export async function storedImages(store: ContentStore, digest: Digest, signal: AbortSignal): Promise<ImageSource> {
  const { record, layers } = await readStoredManifest(store, digest, signal)
  const require = (wanted: readonly Descriptor[]) => requireStored(store, record, titled(layers.byTitle, wanted))
  const move = moveFrom(store, (layer) => checksumMismatch(titleOrDigest(layer), layer.digest))
  const lease = await store.lease([...layers.layers])
  return {
    where: `${digest} in the store`,
    digest,
    layers,
    checkArchitecture: () => undefined,
    async read(layer) {
      await require([layer])
      return await store.read(layer, { signal })
    },
    async move(wanted, target, options) {
      await require(wanted)
      await move(wanted, target, options)
    },
    [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
  }
}

/** Of an archive or folder on this machine, which is read once for what it holds. It is closed with this. Throws PACKAGE_*. */
export async function openedImages(opened: OpenedPackage, signal: AbortSignal): Promise<ImageSource> {
  const { contents, small } = await scanPackage(opened, { signal, tars: false })
  const where = opened.fileName
  const manifest = parseManifest(contents.manifest, where)
  if (manifest.kind !== 'manifest') throw new AppError('INTERNAL', `${where} has an index for a manifest`)
  const verify = (layer: Descriptor) => checksumMismatch(titleOrDigest(layer), layer.digest)
  return {
    where,
    digest: contents.manifest.digest,
    layers: packageLayers(manifest, where),
    checkArchitecture: () => undefined,
    async read(layer) {
      const known = small.get(layer.digest)
      return known ?? (await readAll(verified(await opened.open(layer, { signal }), layer, verify(layer))))
    },
    move: opened.kind === 'indexed' ? moveFrom(opened, verify) : movePassing(opened, contents, verify),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}

/** In any order: the largest first, so that the end is many short tails instead of one long one. */
function moveFrom(source: ContentSource, verify: (layer: Descriptor) => VerifyOptions): ImageSource['move'] {
  return async (layers, target, options) => {
    const sorted = layers.toSorted((a, b) => b.size - a.size)
    await copyBlobs(sorted, source, target, { ...options, verify })
  }
}

/** In the archive's order, as it is decompressed. */
function movePassing(
  archive: StreamedPackage,
  contents: PackageContents,
  verify: (layer: Descriptor) => VerifyOptions,
): ImageSource['move'] {
  return async (layers, target, options) => {
    const wanted = new Map(layers.map((layer) => [layer.digest, layer]))
    const files = contents.files.filter(({ digest }) => wanted.has(digest))
    const some = {
      sourceBytes: archive.sourceBytes,
      windowBytes: archive.windowBytes,
      ...(archive.maxReaders === undefined ? {} : { maxReaders: archive.maxReaders }),
      open: archive.open.bind(archive),
      pass: (pass: Parameters<StreamedPackage['pass']>[0]) => only(archive.pass(pass), new Set(wanted.keys())),
    }
    await moveArchive(some, {
      ...options,
      repository: target,
      declared: new Map(files.map(({ path, digest }) => [path, digest])),
      verify: ({ digest, path }) => {
        const layer = wanted.get(digest)
        return layer ? verify(layer) : checksumMismatch(path, digest)
      },
      announced: true,
    })
  }
}

/** Of what passes, these; it ends with the last of them. */
function only(pass: PackagePass, wanted: Set<Digest>): PackagePass {
  async function* entries() {
    for await (const entry of pass) {
      if (!wanted.delete(entry.digest)) continue
      yield entry
      if (wanted.size === 0) return
    }
  }
  const chosen = entries()
  return {
    get sourceBytesRead() {
      return pass.sourceBytesRead
    },
    get contentEstimate() {
      return pass.contentEstimate
    },
    [Symbol.asyncIterator]: () => chosen,
    [Symbol.asyncDispose]: () => pass[Symbol.asyncDispose](),
  }
}

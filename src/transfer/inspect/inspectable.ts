import type { Descriptor } from '../../content/descriptor.ts'
import { type Digest, digestOf } from '../../content/digest.ts'
import type { ByteStream } from '../../content/endpoints.ts'
import type { InnerFile, InnerFiles, InnerOptions } from '../../zarf/inner-files.ts'
import type { PackageLayers } from '../../zarf/pulled-package.ts'

/**
 * A package that is looked into, wherever it lies: in a registry, in the store, in an upload. Every view of a package is a
 * function over this.
 */
export interface InspectablePackage {
  /** What errors call it. */
  readonly where: string
  /** Of the package's manifest. */
  readonly digest: Digest
  /** Its files by title, with their sizes. */
  readonly layers: PackageLayers
  /** Ends all that is read of it. */
  readonly signal: AbortSignal
  /** One small file, whole and verified. The caller bounds its size. Throws what its place throws for one that is not there. */
  read(layer: Descriptor): Promise<Buffer>
  /** What lies in a file that is a tar. Throws as listInnerFiles. */
  inner(layer: Descriptor): Promise<InnerFiles>
  /** The bytes of a file from `start` to before `end`. A part of one cannot be held against its digest. */
  stream(layer: Descriptor, range: { start: number; end: number }): ByteStream
}

/** What is read whole rather than by its ranges: it is verified, and costs one request. */
export const WHOLE_BYTES = 256 * 1024
/** Of one manifest or values file. */
export const MAX_TEXT_BYTES = 2 ** 20

const COMPONENT_TAR = /^components\/[^/]{1,255}\.tar$/

export function isInnerTar(title: string): boolean {
  return title === SBOMS || title === DOCUMENTATION || COMPONENT_TAR.test(title)
}

export const SBOMS = 'sboms.tar'
export const DOCUMENTATION = 'documentation.tar'

/** How a tar is listed: along with a component's comes what its manifests and values are, which lie between large files. */
export function innerOptions(title: string): InnerOptions {
  if (!COMPONENT_TAR.test(title)) return { title }
  return { title, keep: ({ path, size }) => size <= MAX_TEXT_BYTES && isText(path) }
}

/** `COMPONENT/manifests/...`, `COMPONENT/values/...`. Source: zarf-packages.md 1.2. */
function isText(path: string): boolean {
  const folder = path.split('/', 2)[1]
  return folder === 'manifests' || folder === 'values'
}

/** Tells one file of a tar in a package from all others, for as long as its bytes are the same. */
export function innerTag({ digest }: Descriptor, { path }: InnerFile): string {
  return `"${digest}-${digestOf(path).slice('sha256:'.length, 'sha256:'.length + 16)}"`
}

/** A file that lies in memory, to be listed as one that is read by its ranges. */
export function bufferFile(bytes: Buffer): { size: number; read: (target: Buffer, offset: number) => Promise<Buffer> } {
  return {
    size: bytes.length,
    async read(target, offset) {
      bytes.copy(target, 0, offset)
      return target
    },
  }
}

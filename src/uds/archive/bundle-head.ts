import { type Descriptor, titleOrDigest } from '../../content/descriptor.ts'
import { type Digest, digestOf } from '../../content/digest.ts'
import { MAX_MANIFEST_BYTES, parseManifest, type RawManifest, rawManifest } from '../../content/manifest.ts'
import { isManifestMediaType, OCI_INDEX } from '../../content/media-types.ts'
import { AppError } from '../../lib/errors.ts'
import { isBundle } from '../../zarf/pulled-package.ts'
import { bundleLayers } from '../contents/bundle-manifest.ts'
import { INDEX_FILE } from '../layout/layout-path.ts'
import { checkNoNextBundle, checkNoNextEntries } from '../layout/next-bundle.ts'

/**
 * The one manifest that a bundle's index.json names. Throws PACKAGE_INVALID for none or several, PACKAGE_FORMAT_UNSUPPORTED.
 * Source: zarf-packages.md 4.1; uds v0.35 pkg/legacy/bundle/tarball.go loadBundleManifest.
 */
function rootOf(index: Buffer, fileName: string): Descriptor {
  const where = `${INDEX_FILE} of ${fileName}`
  const raw = rawManifest(OCI_INDEX, index)
  const parsed = parseManifest(raw, where)
  if (parsed.kind !== 'index') throw invalid(`${where} is no index`)
  checkNoNextBundle(raw, fileName)
  checkNoNextEntries(parsed, fileName)
  const [root, ...more] = parsed.manifests
  if (!root) throw invalid(`${where} names no manifest`)
  if (more.length > 0) throw invalid(`${where} names ${more.length + 1} manifests; a bundle has one`)
  if (!isManifestMediaType(root.mediaType)) throw invalid(`${where} names something that is no manifest`)
  if (root.size > MAX_MANIFEST_BYTES) throw invalid(`${where} names a manifest of ${root.size} bytes`)
  return root
}

/** The small blobs that tell what a bundle is, as they come by; each says which others are wanted. */
export class BundleHead {
  readonly #fileName: string
  readonly #wanted = new Map<Digest, Descriptor>()
  readonly #found = new Map<Digest, Buffer>()
  #root: Descriptor | undefined

  constructor(fileName: string) {
    this.#fileName = fileName
  }

  get isWhole(): boolean {
    return this.#root !== undefined && this.#found.size === this.#wanted.size
  }

  /** Still to come. */
  get missing(): Descriptor[] {
    return [...this.#wanted.values()].filter(({ digest }) => !this.#found.has(digest))
  }

  /** Grows with each thing that is found. */
  get progress(): number {
    return this.#found.size + (this.#root === undefined ? 0 : 1)
  }

  get raw(): RawManifest {
    const root = this.#root
    const bytes = root && this.#found.get(root.digest)
    if (!root || !bytes) throw invalid(`${this.#fileName} does not hold ${root?.digest ?? INDEX_FILE}`)
    return rawManifest(root.mediaType, bytes)
  }

  wants(digest: Digest): boolean {
    return this.#wanted.has(digest) && !this.#found.has(digest)
  }

  takeIndex(bytes: Buffer): void {
    this.#root = rootOf(bytes, this.#fileName)
    this.#wanted.set(this.#root.digest, this.#root)
  }

  /** Throws DIGEST_MISMATCH and PACKAGE_INVALID for bytes that are not what they should be. */
  take(digest: Digest, bytes: Buffer): void {
    const wanted = this.#wanted.get(digest)
    if (!wanted) return
    checkBytes(wanted, bytes, this.#fileName)
    this.#found.set(digest, bytes)
    if (digest === this.#root?.digest) this.#takeRoot()
  }

  read(blob: Descriptor): Buffer {
    const bytes = this.#found.get(blob.digest)
    if (bytes) return bytes
    throw invalid(`${this.#fileName} does not hold ${blob.digest}, which its manifest names`)
  }

  #takeRoot(): void {
    const { raw } = this
    const parsed = parseManifest(raw, this.#fileName)
    if (parsed.kind === 'index' || !isBundle(parsed)) {
      throw new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${this.#fileName} is an OCI layout, and none of a UDS bundle`, {
        hint: 'Of files, Zarf packages are read, and bundles as uds create makes them; anything else can be copied between registries.',
      })
    }
    const { config, definition, packages, signature } = bundleLayers(parsed, this.#fileName)
    for (const each of [config, definition, ...packages]) this.#wanted.set(each.digest, each)
    if (signature && signature.size <= SMALL_BYTES) this.#wanted.set(signature.digest, signature)
  }
}

/** What is kept unasked, in case it turns out to be wanted. */
export const SMALL_BYTES = 64 * 1024

/** Throws SIZE_MISMATCH. */
export function checkSize(blob: Descriptor, found: number, fileName: string): void {
  const { digest, size } = blob
  if (found === size) return
  throw new AppError(
    'SIZE_MISMATCH',
    `${fileName} holds ${titleOrDigest(blob)} with ${found} bytes; its manifest says ${size}`,
    {
      side: 'source',
      details: { digest, expected: size, found },
      hint: 'The bundle is damaged: get it again, or make it again with uds create.',
    },
  )
}

/** Throws SIZE_MISMATCH, DIGEST_MISMATCH. */
export function checkBytes(blob: Descriptor, bytes: Buffer, fileName: string): void {
  const { digest } = blob
  checkSize(blob, bytes.length, fileName)
  const found = digestOf(bytes)
  if (found === digest) return
  throw new AppError(
    'DIGEST_MISMATCH',
    `${fileName} holds other bytes under ${digest}: they have the digest ${found}`,
    {
      side: 'source',
      details: { expected: digest, found },
      hint: 'The bundle is damaged: get it again, or make it again with uds create.',
    },
  )
}

function invalid(message: string): AppError {
  return new AppError('PACKAGE_INVALID', message, {
    hint: 'The bundle is damaged or was put together wrongly: make it again with uds create.',
  })
}

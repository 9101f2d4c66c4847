import type { ByteStream, ContentSource } from '../../content/endpoints.ts'
import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { RawManifest } from '../../content/manifest.ts'
import type { DefinitionOutline } from '../definition/outline.ts'

export type { DefinitionOutline } from '../definition/outline.ts'

export type PackageFormat = 'tar' | 'tar.zst' | 'directory' | 'stored'

/** One regular file of a package: one layer. */
export interface PackageFile {
  /** Slash path inside the package, the layer's title. */
  readonly path: string
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
}

/** Name parts, from zarf.yaml or guessed from a conventional file name. */
export interface PackageIdentity {
  readonly name: string
  readonly version: string | undefined
  readonly flavor: string | undefined
  readonly architecture: string
}

/** All that is known of a package once its metadata was read. */
export interface PackageContents {
  readonly identity: PackageIdentity
  /** What layerd looks at of zarf.yaml as zarf v0.84 reads it; `config` has all of it. */
  readonly definition: DefinitionOutline
  readonly signed: boolean
  /** Every regular file, in the package's own order. */
  readonly files: readonly PackageFile[]
  /** The manifest zarf would push (of a stored package the one that was pulled), its config blob's bytes, and the layers in manifest order. zarf-packages.md 2.2, 2.3. */
  readonly manifest: RawManifest
  readonly config: { readonly descriptor: Descriptor; readonly bytes: Buffer }
  readonly layers: readonly Descriptor[]
}

interface OpenedPackageBase extends AsyncDisposable {
  readonly format: PackageFormat
  readonly fileName: string
  /** Bytes of the archive file; for a directory the sum of its files. */
  readonly sourceBytes: number
}

/** A `.tar`, a directory or a package of the store: the whole plan is known at once and files are read in any order, in parallel. */
export interface IndexedPackage extends OpenedPackageBase, ContentSource {
  readonly kind: 'indexed'
  readonly contents: PackageContents
}

/**
 * Keeps what a pass learnt of a file beyond this process, packed, by the file's identity (OpenedFile). It may forget and does
 * not fail; what it brings is checked as the archive's own metadata is.
 */
export interface PackageMemory {
  recall(identity: string): Promise<Buffer | undefined>
  remember(identity: string, packed: Buffer): Promise<void>
}

/** One entry met by a pass over a compressed archive. */
export interface PackageEntry {
  readonly path: string
  readonly size: number
  /** Declared by checksums.txt; computed for the metadata files that it does not list. */
  readonly digest: Digest
  /** The whole content, set for the small metadata files (checksums.txt, zarf.yaml, signatures) only. */
  readonly bytes: Buffer | undefined
  /** The content, once. An entry whose content was not asked for is passed over when the pass goes on. Not verified. */
  content(): ByteStream
}

export interface PackagePass extends AsyncIterable<PackageEntry>, AsyncDisposable {
  /** Bytes of the archive file that were decompressed so far. */
  readonly sourceBytesRead: number
  /** What the files will have together, from what was read so far; undefined before anything was. */
  readonly contentEstimate: number | undefined
}

export interface PassOptions {
  signal: AbortSignal
  /** Told about each 256 KiB of content; both as PackagePass has them. */
  onRead?: (bytesRead: number, contentEstimate?: number) => void
}

/** A `.tar.zst`, or a `.tar` that is read in one go: entries come in the archive's order; each pass decompresses for itself. */
export interface StreamedPackage extends OpenedPackageBase, ContentSource {
  readonly kind: 'streamed'
  /** What one decoder keeps in memory: the window of the first zstd frame. */
  readonly windowBytes: number
  /** How many passes at once are worth while, where each is a download. Default: as many as there are bytes for. */
  readonly maxReaders?: number
  /** From a conventional file name (zarf-packages.md 1.1), or undefined. A guess: zarf.yaml decides. */
  readonly guess: PackageIdentity | undefined
  /** What an earlier pass over the same file (device, inode, size, mtime) learnt: then the plan is known at once. */
  readonly known: PackageContents | undefined
  /**
   * The declared digests by path, read from the archive's head. Throws as openPackage does.
   */
  declared(options: { signal: AbortSignal }): Promise<ReadonlyMap<string, Digest>>
  /** Starts a pass from the first entry. Iterating throws what is wrong with the archive, naming the entry. */
  pass(options: PassOptions): PackagePass
  /**
   * Contents from what one whole pass has met; throws PACKAGE_INVALID for missing, extra or twice-named files, and for a
   * checksums.txt that zarf.yaml does not vouch for. Remembers the result as `known`.
   */
  conclude(entries: readonly PackageEntry[]): Promise<PackageContents>
  /** A whole pass that moves nothing. */
  scan(options: PassOptions): Promise<PackageContents>
  /** Opens one file by its descriptor's title; decompresses from the start to get there. */
  open(descriptor: Descriptor, options: { offset?: number; signal: AbortSignal }): Promise<ByteStream>
}

export type OpenedPackage = IndexedPackage | StreamedPackage

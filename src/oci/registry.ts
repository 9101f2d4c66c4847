import type {
  ContentSink,
  ContentSource,
  OpenOptions,
  ByteStream,
  PushOptions,
  BlobOpener,
} from '../content/endpoints.ts'
import type { Descriptor } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import type { RawManifest } from '../content/manifest.ts'

interface CallOptions {
  signal: AbortSignal
}

/** One repository of one registry, with the caller's credentials. Control calls retry what is transient by themselves. */
export interface Repository extends ContentSource, ContentSink {
  readonly registry: string
  readonly repository: string
  /**
   * Proves, before any byte moves, that the registry answers, takes the credentials, lets them push and has (or makes)
   * the repository: opens an upload session, which the next push uses. Throws REGISTRY_*.
   */
  preparePush(options: CallOptions): Promise<void>
  /** Gives up a session that preparePush opened and nobody used. Never throws. */
  releasePush(): Promise<void>
  /** HEAD of a blob: its size (null when the registry does not say), or undefined when it is absent. Duties B1, B2. */
  stat(digest: Digest, options: CallOptions): Promise<{ size: number | null } | undefined>
  exists(descriptor: Descriptor, options: CallOptions): Promise<boolean>
  open(descriptor: Descriptor, options: OpenOptions): Promise<ByteStream>
  push(descriptor: Descriptor, open: BlobOpener, options: PushOptions): Promise<void>
  /** Asks the registry to link a blob of another repository; false when it refused. Duties U7, U8, A14. */
  mount(descriptor: Descriptor, from: string, options: CallOptions): Promise<boolean>
  /** GET by tag or digest, at most 4 MiB, digest checked; undefined when absent. Duties M1 to M4. */
  getManifest(reference: string, options: CallOptions): Promise<RawManifest | undefined>
  /** HEAD by tag or digest. `digest` is absent where the registry does not send it. */
  headManifest(
    reference: string,
    options: CallOptions,
  ): Promise<{ digest: Digest | undefined; mediaType: string; size: number | undefined } | undefined>
  /** PUT of exactly these bytes under a tag or their digest. Duties M5 to M7. */
  putManifest(reference: string, manifest: RawManifest, options: CallOptions): Promise<void>
  /** All tags. Duties L1, L2. */
  tags(options: CallOptions): Promise<readonly string[]>
}

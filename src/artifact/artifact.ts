import type { Descriptor } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import type { BlobOpener, ContentSource } from '../content/endpoints.ts'
import type { RawManifest } from '../content/manifest.ts'
import { AppError } from '../lib/errors.ts'

/** What is neither a Zarf package nor a UDS bundle, ready to be published: a chart, an SBOM, an image, any files. */
export interface OpenedArtifact extends ContentSource, AsyncDisposable {
  /** What messages call it. */
  readonly where: string
  /** Repository and tag, where it says so itself, as a chart does. */
  readonly name?: string
  readonly tag?: string
  /** What its manifests name and no other manifest is; each digest once. */
  readonly blobs: readonly Descriptor[]
  /** How many layers it has, as people count them. */
  readonly layers: number
  /**
   * Its manifests, the last of which is the artifact and the others are named by it; the same each time. `subject`: what the
   * artifact refers to. Throws ARTIFACT_INVALID where one that is there already cannot refer to anything.
   */
  manifests(subject: Descriptor | undefined): readonly RawManifest[]
}

/** A blob and the way to its bytes. */
export interface ArtifactBlob {
  readonly descriptor: Descriptor
  readonly open: BlobOpener
}

/** Opens any of these, whichever descriptor names it. */
export function blobSource(blobs: readonly ArtifactBlob[]): ContentSource {
  const byDigest = new Map<Digest, ArtifactBlob>(blobs.map((blob) => [blob.descriptor.digest, blob]))
  return {
    ranges: true,
    async open({ digest }, options) {
      const blob = byDigest.get(digest)
      if (!blob) throw new AppError('INTERNAL', `the artifact has no ${digest}`)
      return await blob.open(options)
    },
  }
}

export function artifactInvalid(message: string, hint: string, details: Record<string, unknown> = {}): AppError {
  return new AppError('ARTIFACT_INVALID', message, { hint, details })
}

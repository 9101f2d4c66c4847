import { formatReference, type Reference } from '../content/reference.ts'
import type { Digest } from '../content/digest.ts'
import { updateIndex } from '../oci/index-manifest.ts'
import type { Repository } from '../oci/registry.ts'
import type { PackageContents } from '../zarf/package.ts'
import type { OnEvent } from './events.ts'

/** What a committer needs from the job layer. */
export interface Ownership {
  /** Throws JOB_FENCED or JOB_CANCELED when this run may no longer write. Asked right before each visible write. */
  checkOwnership(): Promise<void>
  /** Runs `task` as the only one of layerd's writers of this reference; its signal aborts when the lock is lost. */
  lockTag<T>(reference: string, task: (signal: AbortSignal) => Promise<T>): Promise<T>
}

/**
 * Makes a package visible: its manifest by digest, then the index under the tag, the only moment others see. All blobs
 * are there before (OCI distribution-spec v1.1.1 "Pushing Manifests").
 */
export async function commit(
  contents: PackageContents,
  target: { repository: Repository; tag: string },
  options: Ownership & { onEvent: OnEvent; signal: AbortSignal },
): Promise<{ reference: Reference; indexDigest: Digest }> {
  const { repository, tag } = target
  const { signal, onEvent } = options
  onEvent({ type: 'phase', phase: 'committing' })
  const { manifest } = contents
  await options.checkOwnership()
  await repository.putManifest(manifest.digest, manifest, { signal })
  const reference = { registry: repository.registry, repository: repository.repository, tag }
  const { indexDigest } = await options.lockTag(formatReference(reference), (locked) =>
    updateIndex({
      repository,
      tag,
      entry: {
        descriptor: { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length },
        architecture: contents.identity.architecture,
      },
      guard: () => options.checkOwnership(),
      signal: locked,
      onWarning: (code, message) => onEvent({ type: 'warning', code, message }),
    }),
  )
  return { reference, indexDigest }
}

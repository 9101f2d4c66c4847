import type { RawManifest } from '../../content/manifest.ts'
import { type AppError, isAppError } from '../../lib/errors.ts'
import type { RepositoryContext } from '../request/repository-context.ts'
import type { CallOptions } from '../request/transport.ts'
import { type Guard, type OnImage, learnArtifactManifests, type PackageForms, putManifest } from './manifests.ts'

/**
 * Tries the artifact manifest first, once for each registry: that it takes none is learnt when it then takes the image
 * manifest, so that what it refuses for another reason teaches nothing. Source: oci-client.md G6.
 */
export async function putArtifactOrImage(
  context: RepositoryContext,
  { artifact, image }: PackageForms,
  { onImage, ...options }: CallOptions & Guard & OnImage,
): Promise<RawManifest> {
  const tried = context.learned.artifactManifests !== false
  const refusal = tried ? await tryArtifact(context, artifact, options) : undefined
  if (tried && !refusal) return artifact
  onImage(refusal)
  await putManifest(context, image.digest, image, options)
  if (tried) learnArtifactManifests(context, false)
  return image
}

/** The refusal, where the registry takes no artifact manifests. */
async function tryArtifact(
  context: RepositoryContext,
  artifact: RawManifest,
  options: CallOptions & Guard,
): Promise<AppError | undefined> {
  try {
    await putManifest(context, artifact.digest, artifact, options)
    return undefined
  } catch (error) {
    if (isAppError(error) && error.code === 'MANIFEST_UNSUPPORTED') return error
    throw error
  }
}

import { formatReference } from '../../content/reference.ts'
import type { RawManifest } from '../../content/manifest.ts'
import type { ReadManifest } from '../copy/tree.ts'
import { isMissingBlob } from '../missing-blob.ts'
import { totalBytes } from '../plan.ts'
import { move } from './move.ts'
import type { PlannedImage, PreparedMirror } from './prepare.ts'
import type { MirrorDependencies, MirroredImage, MirrorOutcome } from './request.ts'

/** Makes the images visible: of each its manifests, then its tags. Heals once where the registry lost blobs that it claimed to have. */
export async function complete(mirror: PreparedMirror, dependencies: MirrorDependencies): Promise<MirrorOutcome> {
  try {
    await commit(mirror, dependencies)
  } catch (error) {
    if (!isMissingBlob(error)) throw error
    const message = `the registry misses blobs that it had, so all of them are looked at again: ${error.message}`
    dependencies.onEvent({ type: 'log', level: 'warn', message })
    await move(mirror, dependencies, true)
    await commit(mirror, dependencies)
  }
  return outcome(mirror)
}

async function commit({ images }: PreparedMirror, dependencies: MirrorDependencies): Promise<void> {
  dependencies.onEvent({ type: 'phase', phase: 'committing' })
  for (const image of images) await show(image, dependencies)
}

async function show(
  { image, root, manifests, place, repository }: PlannedImage,
  dependencies: MirrorDependencies,
): Promise<void> {
  const { signal, onEvent } = dependencies
  const guard = () => dependencies.checkOwnership()
  for (const one of manifests) await repository.putManifest(one.raw.digest, typed(one), { signal, guard })
  for (const tag of place.tags) {
    const where = formatReference({ registry: repository.registry, repository: repository.repository, tag })
    await dependencies.lockTag(where, (locked) => repository.putManifest(tag, typed(root), { signal: locked, guard }))
  }
  const [first] = referencesOf({ place, root, repository })
  onEvent({ type: 'log', level: 'info', message: `${image} is ${first}` })
}

/** Of a file in a package its own text says what it is. */
function typed({ raw, parsed: { mediaType } }: ReadManifest): RawManifest {
  return { ...raw, mediaType }
}

function referencesOf({
  place,
  root,
  repository: { registry, repository },
}: Pick<PlannedImage, 'place' | 'root' | 'repository'>): string[] {
  if (place.tags.length === 0) return [formatReference({ registry, repository, digest: root.raw.digest })]
  return place.tags.map((tag) => formatReference({ registry, repository, tag }))
}

export function outcome({ request, metadata, signatures, images, blobs }: PreparedMirror): MirrorOutcome {
  const { source, destination, verification } = request
  const { name, version = null, architecture } = metadata.identity
  const { registry, namespace: repository } = destination
  const mirrored = images.map(
    (planned): MirroredImage => ({
      image: planned.image,
      digest: planned.root.raw.digest,
      references: referencesOf(planned),
    }),
  )
  return {
    reference: repository === '' ? `oci://${registry}` : formatReference({ registry, repository }),
    digest: source.digest,
    name,
    version,
    architecture,
    images: mirrored,
    layers: blobs.length,
    bytes: totalBytes(blobs),
    ...(verification ? { signatures } : {}),
  }
}

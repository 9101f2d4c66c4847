import { createDryRun, lookingOnly, tellDone } from '../dry-run.ts'
import { complete, outcome } from './complete.ts'
import { linkedFrom, move, sharedOut } from './move.ts'
import { prepare } from './prepare.ts'
import type { MirrorDependencies, MirrorOutcome, MirrorRequest, PlannedMirror } from './request.ts'

export type { MirrorDependencies, MirroredImage, MirrorOutcome, MirrorRequest, PlannedMirror } from './request.ts'
export { type ImageSource, openedImages, remoteImages, storedImages } from './source.ts'

/**
 * Brings the container images of a package into a registry, under the names that zarf gives them, manifests and indexes byte for
 * byte: as `zarf package mirror-resources` does with images. Rejects with the first error after everything has stopped; images
 * before it may be visible then, whole ones. Throws PACKAGE_*, COMPONENTS_INVALID, IMAGES_INVALID, SIGNATURE_*, MANIFEST_*,
 * REFERENCE_INVALID, TAG_INVALID, REGISTRY_*, DIGEST_MISMATCH, JOB_FENCED, JOB_CANCELED.
 */
export async function mirror(request: MirrorRequest, dependencies: MirrorDependencies): Promise<MirrorOutcome> {
  dependencies.onEvent({ type: 'phase', phase: 'planning' })
  const prepared = await prepare(request, dependencies)
  await move(prepared, dependencies)
  return await complete(prepared, dependencies)
}

/** What `mirror` would do, without a request that writes; what would fail it for good is in the plan's problems, but where nothing can be planned. */
export async function planMirror(request: MirrorRequest, dependencies: MirrorDependencies): Promise<PlannedMirror> {
  const dryRun = createDryRun()
  const looking = { ...lookingOnly(dependencies), check: dryRun.check }
  const { signal } = looking
  looking.onEvent({ type: 'phase', phase: 'planning' })
  const prepared = await prepare(dryRun.tolerating(request), looking)
  const { blobs, homes } = prepared
  const [linked] = linkedFrom(prepared)
  const sink = sharedOut(homes, request.destination.registry)
  const weighed = await dryRun.weigh(blobs, { sink, mountable: async () => linked?.repository, signal })
  tellDone(dependencies.onEvent)
  return { ...outcome(prepared), plan: { ...weighed, fits: null } }
}

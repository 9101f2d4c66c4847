import { complete } from './complete.ts'
import { move } from './move.ts'
import { prepare } from './prepare.ts'
import type { CopyDependencies, CopyOutcome, CopyRequest } from './request.ts'

export { planCopy } from './dry-run.ts'
export type { CopyDependencies, CopyOutcome, CopyRequest, PlannedCopy } from './request.ts'

/**
 * Copies from registry to registry: a package, a bundle, an image, or an index of them, with what refers to it. Manifests go
 * byte for byte but for those of packages that are signed, blobs as streams, or by mounts inside one registry. Rejects with the
 * first error after everything has stopped; nothing is tagged then. Throws MANIFEST_*, ARCHITECTURE_NOT_FOUND, TAG_*,
 * REGISTRY_*, DIGEST_MISMATCH, JOB_FENCED, JOB_CANCELED.
 */
export async function copy(request: CopyRequest, dependencies: CopyDependencies): Promise<CopyOutcome> {
  dependencies.onEvent({ type: 'phase', phase: 'planning' })
  const prepared = await prepare(request, dependencies)
  await move(prepared, dependencies)
  return await complete(prepared, dependencies)
}

import { createMounts } from '../mounts.ts'
import { complete, manifestOf } from './complete.ts'
import { planPackage } from './dry-run.ts'
import { holding, move } from './move.ts'
import { prepare } from './prepare.ts'
import { withPlace } from './with-place.ts'
import type { PlannedPull, PullDependencies, PullOutcome, PullRequest } from './request.ts'

export type { PlannedPull, PullDependencies, PullOutcome, PullRequest } from './request.ts'

/**
 * Pulls a package. What can be known to fail without moving its layers fails first: reference, architecture, the manifest
 * against checksums.txt, the selection, the target, the room. Then layers come in parallel, each verified, and the package
 * is recorded, or its archive gets its name, when every one is there. Rejects with the first error after everything has
 * stopped; what has arrived stays for a retry. Throws MANIFEST_*, ARCHITECTURE_NOT_FOUND, COMPONENTS_INVALID, PACKAGE_*,
 * SIGNATURE_*, DIGEST_MISMATCH, SIZE_MISMATCH, STORE_*, REGISTRY_*, JOB_FENCED, JOB_CANCELED.
 */
export async function pull(request: PullRequest, dependencies: PullDependencies): Promise<PullOutcome> {
  try {
    return await pullPackage(request, dependencies)
  } catch (error) {
    throw withPlace(error, request.reference)
  }
}

/** What `pull` would do; nothing is written, nor is room kept or made. Throws as it does, where nothing can be planned. */
export async function planPull(request: PullRequest, dependencies: PullDependencies): Promise<PlannedPull> {
  try {
    return await planPackage(request, dependencies)
  } catch (error) {
    throw withPlace(error, request.reference)
  }
}

async function pullPackage(request: PullRequest, dependencies: PullDependencies): Promise<PullOutcome> {
  const { store, places, onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'planning' })
  const prepared = await prepare(request, dependencies)
  const { repository, blobs } = prepared
  const held = { blobs: [...blobs, manifestOf(prepared)], besideBytes: request.target?.bytesBesideStore ?? 0 }
  const outcome = await holding(held, dependencies, async () => {
    await move(prepared, dependencies)
    return await complete(prepared, dependencies)
  })
  await createMounts({ repository, places }).learn(blobs)
  // The file is what was asked for: blobs that no stored package shares are not kept beside it.
  if (request.target) await store.gc({ graceMs: 0, only: new Set(blobs.map(({ digest }) => digest)) })
  return outcome
}

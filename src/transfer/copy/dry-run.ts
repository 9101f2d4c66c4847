import { createDryRun, lookingOnly, mountablesOf, tellDone } from '../dry-run.ts'
import { outcome } from './complete.ts'
import { prepare } from './prepare.ts'
import type { CopyDependencies, CopyRequest, PlannedCopy } from './request.ts'

/**
 * What `copy` would do, without a request that writes. What would fail it for good is in the plan's problems, but where
 * nothing can be planned: throws MANIFEST_*, ARCHITECTURE_NOT_FOUND, TAG_INVALID, REGISTRY_* of the source, and what passes by.
 */
export async function planCopy(request: CopyRequest, dependencies: CopyDependencies): Promise<PlannedCopy> {
  const dryRun = createDryRun()
  const looking = { ...lookingOnly(dependencies), check: dryRun.check }
  const { signal } = looking
  looking.onEvent({ type: 'phase', phase: 'planning' })
  const tolerated = dryRun.tolerating(request)
  const planned = await prepare(tolerated, looking)
  const { destination, mounts, blobs } = planned
  const mountable = mountablesOf(mounts, { registry: destination.registry, dependencies: looking })
  const weighed = await dryRun.weigh(blobs, { sink: destination, mountable, signal })
  tellDone(dependencies.onEvent)
  return { ...outcome(planned, []), plan: { ...weighed, fits: null } }
}

import type { AppError } from '../../lib/errors.ts'
import { createDryRun, lookingOnly, tellDone } from '../dry-run.ts'
import { manifestOf, outcome } from './complete.ts'
import { makePlan } from './prepare.ts'
import type { PlannedPull, PullDependencies, PullRequest } from './request.ts'

/** What a pull would bring, whether its target takes the file, and whether there is room. */
export async function planPackage(request: PullRequest, dependencies: PullDependencies): Promise<PlannedPull> {
  const dryRun = createDryRun()
  const looking = lookingOnly(dependencies)
  const { store, signal } = looking
  const { target, overwrite } = request
  looking.onEvent({ type: 'phase', phase: 'planning' })
  const tolerated = dryRun.tolerating(request)
  const planned = await makePlan(tolerated, looking)
  const { archive, blobs, repository } = planned
  const file = { name: archive.fileName, size: archive.size, overwrite }
  const looked = target && (await dryRun.check(() => target.look(file)))
  const besideBytes = looked?.bytesBesideStore ?? 0
  await dryRun.check(() => store.checkRoom([...blobs, manifestOf(planned)], { besideBytes }))
  const weighed = await dryRun.weigh(blobs, { sink: store.lookFrom(repository), signal })
  tellDone(dependencies.onEvent)
  const { path: _, ...come } = outcome(planned, undefined)
  return { ...come, plan: { ...weighed, fits: !weighed.problems.some(isAboutRoom) } }
}

function isAboutRoom({ code }: AppError): boolean {
  return code === 'STORE_FULL'
}

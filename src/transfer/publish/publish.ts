import { checkedSource } from './checked-source.ts'
import { complete } from './complete.ts'
import { move, type MovedPublish } from './move.ts'
import { prepare, type PreparedPublish } from './prepare.ts'
import type { PublishDependencies, PublishOutcome, PublishRequest } from './request.ts'

export type { PlannedPublish, PublishDependencies, PublishOutcome, PublishRequest } from './request.ts'
export { planPublish } from './dry-run.ts'

/**
 * Publishes a package or a bundle: checks the destination, moves what it lacks, then makes it visible. Layers and image
 * manifest are byte for byte those of `zarf package publish` and `uds publish`, or what `zarf package sign` makes of them.
 * Rejects with the first error after everything has stopped; nothing is tagged then. Throws PACKAGE_*, SIGNATURE_*, KEY_*,
 * REGISTRY_*, TAG_*, MANIFEST_TOO_LARGE, MANIFEST_UNSUPPORTED, JOB_FENCED, JOB_CANCELED.
 */
export async function publish(request: PublishRequest, dependencies: PublishDependencies): Promise<PublishOutcome> {
  const { onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'planning' })
  const { source, signatures, told, signed } = await checkedSource(request, dependencies)
  const prepared = await prepare(source, request, dependencies)
  const moved = await move(prepared, dependencies)
  const outcome = await completed(moved, prepared, dependencies)
  if (signed) return { ...outcome, ...signed(outcome) }
  return { ...outcome, ...told, ...(signatures ? { signatures: [...signatures] } : {}) }
}

async function completed(
  moved: MovedPublish,
  { source, request, ...prepared }: PreparedPublish,
  dependencies: PublishDependencies,
): Promise<PublishOutcome> {
  const { identity } = moved.contents
  if (identity.name === prepared.identity.name) return await complete(moved, dependencies)
  const message = `zarf.yaml names the package ${identity.name}, not ${prepared.identity.name}: going on under its own name`
  dependencies.onEvent({ type: 'log', level: 'warn', message })
  const renamed = await prepare(source, request, { ...dependencies, sure: prepared.repository })
  return await complete(await move(renamed, dependencies), dependencies)
}

import { complete } from './complete.ts'
import { move, type MovedPublish } from './move.ts'
import { prepare, type PreparedPublish } from './prepare.ts'
import type { PublishDependencies, PublishOutcome, PublishRequest } from './request.ts'
import { publishSource } from './source.ts'
import { stillVerified, verifySource } from './verified.ts'

export type { PublishDependencies, PublishOutcome, PublishRequest } from './request.ts'

/**
 * Publishes a package: checks the destination, moves what it lacks, then makes it visible. Layers and image manifest are
 * byte for byte those of `zarf package publish`. Rejects with the first error after everything has stopped; nothing is
 * tagged then. Throws PACKAGE_*, SIGNATURE_*, REGISTRY_*, TAG_*, MANIFEST_TOO_LARGE, MANIFEST_UNSUPPORTED, JOB_FENCED, JOB_CANCELED.
 */
export async function publish(request: PublishRequest, dependencies: PublishDependencies): Promise<PublishOutcome> {
  const { onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'planning' })
  const verified = await verifySource(request, dependencies)
  const source = stillVerified(publishSource(request.package), verified)
  const prepared = await prepare(source, request, dependencies)
  const moved = await move(prepared, dependencies)
  const outcome = await completed(moved, prepared, dependencies)
  return verified?.signatures ? { ...outcome, signatures: [...verified.signatures] } : outcome
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

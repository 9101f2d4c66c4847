import type { OpenedPackage } from '../../zarf/package.ts'
import { createSigning, type Signing } from '../signing.ts'
import { complete } from './complete.ts'
import { move, type MovedPublish } from './move.ts'
import { prepare, type PreparedPublish } from './prepare.ts'
import type { PublishDependencies, PublishOutcome, PublishRequest } from './request.ts'
import { publishSource } from './source.ts'
import { signedSource, stillVerified, verifySource } from './verified.ts'

export type { PlannedPublish, PublishDependencies, PublishOutcome, PublishRequest } from './request.ts'
export { planPublish } from './dry-run.ts'

/**
 * Publishes a package: checks the destination, moves what it lacks, then makes it visible. Layers and image manifest are
 * byte for byte those of `zarf package publish`, or what `zarf package sign` makes of them. Rejects with the first error after everything has stopped; nothing is
 * tagged then. Throws PACKAGE_*, SIGNATURE_*, KEY_*, REGISTRY_*, TAG_*, MANIFEST_TOO_LARGE, MANIFEST_UNSUPPORTED, JOB_FENCED, JOB_CANCELED.
 */
export async function publish(request: PublishRequest, dependencies: PublishDependencies): Promise<PublishOutcome> {
  const { onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'planning' })
  const signing = request.sign && createSigning(request.sign, dependencies)
  const verified = await verifySource(request, { ...dependencies, signing })
  const source = signing
    ? publishSource(await signedSource(request.package, signing, { ...dependencies, verified }))
    : stillVerified(publishSource(request.package), verified)
  const prepared = await prepare(source, request, dependencies)
  const moved = await move(prepared, dependencies)
  const outcome = await completed(moved, prepared, dependencies)
  if (signing) return { ...outcome, ...told(signing, { opened: request.package, outcome }) }
  return verified?.signatures ? { ...outcome, signatures: [...verified.signatures] } : outcome
}

function told(
  signing: Signing,
  { opened, outcome }: { opened: OpenedPackage; outcome: PublishOutcome },
): Pick<PublishOutcome, 'signed' | 'signatures'> {
  const before = opened.kind === 'indexed' ? opened.contents : opened.known
  signing.tell(opened.fileName, before?.manifest.digest, outcome.digest)
  return { signed: true, signatures: [signing.signature] }
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

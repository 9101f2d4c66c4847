import type { Descriptor } from '../../content/descriptor.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { Repository } from '../../oci/registry.ts'
import type { PackageToStore } from '../../store/content-store.ts'
import type { ComputedArchive } from '../../zarf/computed-archive.ts'
import { isBundle } from '../../zarf/pulled-package.ts'
import { type PackageSource, packageSource } from '../package-source.ts'
import { announceBlobs } from '../plan.ts'
import { type ResolvedPackage, resolvePackage } from '../resolve.ts'
import type { PackageSignature } from '../signatures.ts'
import { planBundle } from './plan-bundle.ts'
import { planPackage } from './plan-package.ts'
import type { PullDependencies, PullOutcome, PullRequest } from './request.ts'

/** What was found under the reference, and the way to it. */
export interface FoundPull {
  readonly request: PullRequest
  readonly repository: Repository
  readonly source: PackageSource
  readonly resolved: ResolvedPackage
}

/** What of it is pulled, be it a package or a bundle. */
export interface PullPlan {
  readonly signatures: readonly PackageSignature[]
  /** Each digest once. */
  readonly blobs: readonly Descriptor[]
  /** As a file. */
  readonly archive: ComputedArchive
  /** What the store keeps of it beside what it keeps of everything. */
  readonly record: Omit<
    PackageToStore,
    'digest' | 'manifestMediaType' | 'manifestSize' | 'references' | 'holder' | 'owner' | keyof PackageIdentityFields
  >
  readonly identity: PackageIdentityFields
  /** What the outcome says of it alone. */
  readonly told: Pick<PullOutcome, 'layers' | 'packages'>
}

export type PackageIdentityFields = Pick<PullOutcome, 'name' | 'version' | 'flavor' | 'architecture'>

/** What is pulled, once it is known. */
export type PreparedPull = FoundPull & PullPlan

/** Everything that can be known to fail without moving a layer fails here; then the plan is told. */
export async function prepare(request: PullRequest, dependencies: PullDependencies): Promise<PreparedPull> {
  const prepared = await makePlan(request, dependencies)
  const { archive, blobs } = prepared
  await nextTurn()
  const { target, overwrite } = request
  await target?.prepare({ name: archive.fileName, size: archive.size, overwrite })
  announceBlobs(blobs, dependencies.onEvent)
  return prepared
}

/** What is to be pulled, before anything was done for it. */
export async function makePlan(request: PullRequest, dependencies: PullDependencies): Promise<PreparedPull> {
  const { signal } = dependencies
  const { registry, repository: name } = request.reference
  const repository = await dependencies.repository(registry, name)
  const resolved = await resolvePackage(repository, request, signal)
  const source = packageSource(repository, signal)
  const found = { request, repository, source, resolved }
  const plan = isBundle(resolved.manifest) ? planBundle : planPackage
  return { ...found, ...(await plan(found, dependencies)) }
}

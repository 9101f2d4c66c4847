import type { Digest } from '../../content/digest.ts'
import type { ContentStore } from '../../store/content-store.ts'
import type { PackageSignature, Verification } from '../../trust/verification.ts'
import type { UpdateArchive } from '../../zarf/update-archive.ts'
import type { Ownership } from '../commit.ts'
import type { TransferPlan } from '../dry-run.ts'
import type { OnEvent } from '../events.ts'

export interface ApplyRequest {
  update: UpdateArchive
  /** Whose the package is in the store, and whose the base has to be. */
  owner: string
  /** What has to hold of the package's signature before anything is written. Default: nothing is checked. */
  verification?: Verification
}

export interface ApplyDependencies extends Pick<Ownership, 'checkOwnership'> {
  /** As the owner sees it: what others brought is not there. */
  store: ContentStore
  onEvent: OnEvent
  signal: AbortSignal
}

export interface ApplyOutcome {
  /** store:sha256:..., where it lies. */
  reference: string
  /** The package's manifest. */
  digest: Digest
  /** The base's manifest. */
  since: Digest
  architecture: string
  name: string
  version: string | null
  flavor: string | null
  layers: number
  /** Layers and config, each digest once. */
  bytes: number
  /** Where a verification was asked for. */
  signatures?: PackageSignature[]
}

/** What an apply would come to. */
export interface PlannedApply extends ApplyOutcome {
  plan: TransferPlan
}

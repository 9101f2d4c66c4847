import type { BlobPlaces } from '../../content/blob-places.ts'
import type { Digest } from '../../content/digest.ts'
import type { OpenedTarget } from '../../content/opened.ts'
import type { Reference } from '../../content/reference.ts'
import type { Repository } from '../../oci/registry.ts'
import type { ContentStore } from '../../store/content-store.ts'
import type { PackageSignature, Verification } from '../../trust/verification.ts'
import type { PackageChoice } from '../../zarf/select.ts'
import type { Ownership } from '../commit.ts'
import type { TransferPlan } from '../dry-run.ts'
import type { VerificationFor } from '../signatures.ts'
import type { BundledPackage } from '../bundle/packages.ts'
import type { OnEvent } from '../events.ts'

export interface PullRequest extends PackageChoice {
  reference: Reference
  /** Default: the daemon's own, unless the tag has one only. */
  architecture?: string
  /** What gets the archive under zarf's name. Default: the package goes into the store. */
  target?: OpenedTarget
  /** Replace a file that exists. */
  overwrite: boolean
  /** Into the store for this holder alone (PackageToStore). Default: the package stays there. */
  holder?: string
  /** Whose it is in the store. Default: as PackageToStore's. */
  owner?: string
  /** Blobs at once. */
  concurrency: number
  /** What has to hold of the package's signature before a layer is fetched. Default: nothing is checked. */
  verification?: Verification
  /** What has to hold of each package of a bundle, by the repository that the bundle has it from. Default: nothing is checked. */
  bundledVerificationFor?: VerificationFor
}

export interface PullDependencies extends Pick<Ownership, 'checkOwnership'> {
  repository(registry: string, repository: string): Promise<Repository>
  store: ContentStore
  /** Told where the blobs are, for later publishes to the same registry. */
  places?: BlobPlaces
  onEvent: OnEvent
  signal: AbortSignal
}

/** What a pull would come to. */
export interface PlannedPull extends Omit<PullOutcome, 'path'> {
  plan: TransferPlan
}

export interface PullOutcome {
  /** oci://HOST/NS/NAME:TAG */
  reference: string
  /** The package's manifest. */
  digest: Digest
  architecture: string
  name: string
  version: string | null
  flavor: string | null
  /** Where the archive lies, for a target; else undefined and the package is in the store. */
  path: string | undefined
  /** Of a bundle: what it is of. */
  packages?: BundledPackage[]
  /** Of the selection. */
  layers: number
  /** Layers and config, each digest once. */
  bytes: number
  /** Of the package, where a verification was asked for. */
  signatures?: PackageSignature[]
}

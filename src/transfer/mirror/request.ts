import type { Digest } from '../../content/digest.ts'
import type { Destination } from '../../content/reference.ts'
import type { Verification } from '../../trust/verification.ts'
import type { TransferClaims } from '../../content/claims.ts'
import type { Repository } from '../../oci/registry.ts'
import type { Ownership } from '../commit.ts'
import type { Check, TransferPlan } from '../dry-run.ts'
import type { OnEvent } from '../events.ts'
import type { PackageSignature } from '../signatures.ts'
import type { ImageSource } from './source.ts'

export interface MirrorRequest {
  source: ImageSource
  /** Each image's own path is appended, as zarf does. */
  destination: Destination
  /** Images of these components alone (pickComponents). Default: of all. */
  components?: readonly string[]
  /** Of those, these alone (selectImages). Default: all. */
  images?: readonly string[]
  /** Whether each has a tag with zarf's checksum beside its own. */
  checksum: boolean
  /** Blobs at once. */
  concurrency: number
  /** What has to hold of the package's signature before a blob moves. Default: nothing is checked. */
  verification?: Verification
}

export interface MirrorDependencies extends Ownership {
  repository(registry: string, repository: string): Promise<Repository>
  /** Shares the transfers of large blobs with other runs. Default: each run sends for itself. */
  claims?: TransferClaims
  /** What is done where a check fails. Default: the mirror does. */
  check?: Check
  onEvent: OnEvent
  signal: AbortSignal
}

/** An image of the package, where it can be had now. */
export interface MirroredImage {
  /** As zarf.yaml names it. */
  readonly image: string
  readonly digest: Digest
  /** oci://HOST/PATH:TAG, that with zarf's checksum first; of one that is named by its digest, by that. */
  readonly references: readonly string[]
}

export interface MirrorOutcome {
  /** oci://HOST/NAMESPACE */
  reference: string
  /** The package's manifest. */
  digest: Digest
  name: string
  version: string | null
  architecture: string
  images: readonly MirroredImage[]
  /** Blobs, each once. */
  layers: number
  bytes: number
  /** Left out where nothing was to be checked. */
  signatures?: readonly PackageSignature[]
}

/** What a mirror would come to. */
export interface PlannedMirror extends MirrorOutcome {
  plan: TransferPlan
}

import type { BlobPlaces } from '../../content/blob-places.ts'
import type { TransferClaims } from '../../content/claims.ts'
import type { Digest } from '../../content/digest.ts'
import type { Destination, Reference } from '../../content/reference.ts'
import type { Repository } from '../../oci/registry.ts'
import type { Verification } from '../../trust/verification.ts'
import type { Ownership } from '../commit.ts'
import type { Check, TransferPlan } from '../dry-run.ts'
import type { VerificationFor } from '../signatures.ts'
import type { OnEvent } from '../events.ts'
import type { SignRequest } from '../signing.ts'

export interface CopyRequest {
  /** With a tag or a digest, but with `tags`. */
  source: Reference
  /** Patterns of tags, as Go's path.Match has them: all that match are copied, but those that are there. */
  tags?: readonly string[]
  /** The last part of the source's repository is appended, as `zarf package publish` does. */
  destination: Destination
  /** Default: the source's, else the version that a package says it is. */
  tag?: string
  /** Of an index, which entries. Default: all, and the index as it is. */
  architectures?: readonly string[]
  /** Blobs at once. */
  concurrency: number
  /** What has to hold of each package's signature before a blob moves. Default: nothing is checked. */
  verification?: Verification
  /** What has to hold of each package of a bundle, by the repository that the bundle has it from. Default: nothing is checked. */
  bundledVerificationFor?: VerificationFor
  /** Signs each package, which makes it another one. Default: they go as they came. */
  sign?: SignRequest
}

export interface CopyDependencies extends Ownership {
  repository(registry: string, repository: string): Promise<Repository>
  /** Shares the transfers of large blobs with other runs. Default: each run sends for itself. */
  claims?: TransferClaims
  /** Where other repositories hold what the destination lacks. Default: only the source is asked, in the same registry. */
  places?: BlobPlaces
  /** What is done where a check fails. Default: the copy does. */
  check?: Check
  onEvent: OnEvent
  signal: AbortSignal
}

/** What a copy would come to: its outcome, but for the index that nobody wrote. */
export interface PlannedCopy extends Omit<CopyOutcome, 'indexDigest'> {
  plan: TransferPlan
}

export interface CopyOutcome {
  /** oci://HOST/NS/NAME:TAG, without the tag where several were asked for. */
  reference: string
  /** The manifest, where it is one; of several the index; empty where several tags were asked for. */
  digest: Digest | ''
  /** Those that were copied, where several were asked for. */
  tags?: readonly string[]
  /** And how many were there. */
  tagsThere?: number
  /** What lies under the tag; left out where that is the manifest itself. */
  indexDigest?: Digest
  /** Of the one manifest; `multi` for several. */
  architecture: string
  /** Those of the index that were copied. */
  architectures: readonly string[]
  /** Blobs, each once. */
  layers: number
  bytes: number
  /** Signatures and whatever else refers to what was copied. */
  referrers: number
  /** Set where the packages were signed here. */
  signed?: true
}

import type { BlobPlaces } from '../../content/blob-places.ts'
import type { TransferClaims } from '../../content/claims.ts'
import type { Digest } from '../../content/digest.ts'
import type { ManifestKind } from '../../content/manifest.ts'
import type { Destination } from '../../content/reference.ts'
import type { Repository } from '../../oci/registry.ts'
import type { PackageSignature, Verification } from '../../trust/verification.ts'
import type { OpenedBundle } from '../../uds/bundle-archive.ts'
import type { OpenedPackage } from '../../zarf/package.ts'
import type { Ownership } from '../commit.ts'
import type { Check, TransferPlan } from '../dry-run.ts'
import type { VerificationFor } from '../signatures.ts'
import type { BundledPackage } from '../bundle/packages.ts'
import type { OnEvent } from '../events.ts'
import type { SignRequest } from '../signing.ts'

export interface PublishRequest {
  package: OpenedPackage | OpenedBundle
  destination: Destination
  /** Replaces `version[-flavor]` as a whole. */
  tag?: string
  /** The package's name where the file name does not tell it; zarf.yaml still decides. */
  name?: string
  /**
   * What has to hold of the package's signature, as it came, before a byte is sent, by the repository that it goes to; that
   * is known once its zarf.yaml was read. Default: nothing is checked.
   */
  verificationFor?: (repository: string) => Promise<Verification | undefined>
  /** What has to hold of each package of a bundle, by the repository that the bundle has it from. Default: nothing is checked. */
  bundledVerificationFor?: VerificationFor
  /** The same of the package as it is signed, with `sign`. */
  signedVerificationFor?: (repository: string) => Promise<Verification | undefined>
  /** Signs it, which makes it another package. Default: it goes as it came. */
  sign?: SignRequest
  /** Read a compressed archive once before sending, so that the plan is known. */
  scan: boolean
  /** Blobs at once. */
  concurrency: number
  /** Default image: zarf's own form. */
  manifest?: ManifestKind
  /** What kind of artifact it is to be called, as a media type; the manifest is then not the one that zarf writes. */
  artifactType?: string
  /** A tag or digest of the package's repository, which the manifest is to refer to; the same holds. */
  subject?: string
}

export interface PublishDependencies extends Ownership {
  repository(registry: string, repository: string): Promise<Repository>
  /** Shares the transfers of large blobs with other runs. Default: each run sends for itself. */
  claims?: TransferClaims
  /** Where other repositories hold what this one lacks. Default: nothing is mounted. */
  places?: BlobPlaces
  /** What is done where a check fails. Default: the publish does. */
  check?: Check
  onEvent: OnEvent
  signal: AbortSignal
}

/** What a publish would come to: its outcome, but for the index that nobody wrote. */
export interface PlannedPublish extends Omit<PublishOutcome, 'indexDigest'> {
  plan: TransferPlan
}

export interface PublishOutcome {
  /** oci://HOST/NS/NAME:TAG */
  reference: string
  /** The package's manifest. */
  digest: Digest
  /** The index under the tag. */
  indexDigest: Digest
  architecture: string
  /** Of a bundle, and the packages that it is of. */
  name?: string
  version?: string | null
  packages?: BundledPackage[]
  layers: number
  /** Layers and, but for an artifact manifest that was asked for by name, config. */
  bytes: number
  /** Set where it was signed here. */
  signed?: true
  /** Of the package that is published, where a verification was asked for or it was signed. */
  signatures?: PackageSignature[]
  /** Which of the two was published, where the request said what it may be. */
  manifest?: Exclude<ManifestKind, 'auto'>
}

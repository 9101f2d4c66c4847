import type { Descriptor } from '../content/descriptor.ts'
import {
  checkSignatureSize,
  lookAtSignatures,
  type PackageSignature,
  type SignedFiles,
  type Verification,
} from '../trust/verification.ts'
import { SIGSTORE_BUNDLE, LEGACY_SIGNATURE } from '../zarf/package.ts'
import {
  checkMetadata,
  metadataLayers,
  type PackageLayers,
  type PulledMetadata,
  signatureLayers,
} from '../zarf/pulled-package.ts'

import type { OnEvent } from './events.ts'

export type { PackageSignature } from '../trust/verification.ts'

type Read = (layer: Descriptor) => Promise<Buffer>

/** What has to hold of a package of this repository, wherever it lies; undefined: nothing. */
export type VerificationFor = (place: { registry: string; repository: string }) => Promise<Verification | undefined>

/** A package in OCI form whose metadata hold together, and what came of its signature. */
export interface CheckedPackage {
  readonly metadata: PulledMetadata
  readonly signatures: readonly PackageSignature[]
}

/**
 * Checks that zarf.yaml vouches for checksums.txt, and that for every layer by its digest, and then who vouches for zarf.yaml.
 * Reads these small layers alone; without a verification none of the signature's, and `look` tells of it unchecked. Throws as
 * checkMetadata, and what the verification does.
 */
export async function checkPackage(
  layers: PackageLayers,
  options: { read: Read; verification: Verification | 'look' | undefined; where: string; signal: AbortSignal },
): Promise<CheckedPackage> {
  const { read, verification, where, signal } = options
  const small = metadataLayers(layers)
  const [definition, checksums] = await Promise.all([read(small.definition), read(small.checksums)])
  const metadata = await checkMetadata(layers, { definition, checksums }, signal)
  if (verification === undefined) return { metadata, signatures: [] }
  const files = await signedFiles(layers, { definition, signed: metadata.signed, read })
  return { metadata, signatures: verification === 'look' ? lookAtSignatures(files) : verification.check(files, where) }
}

/** What a verification is told of an image, a chart, or whatever else is no package. */
export const NO_PACKAGE: SignedFiles = {
  definition: Buffer.alloc(0),
  signed: false,
  bundle: undefined,
  base64: undefined,
  unsignable: 'it is neither a Zarf package nor a UDS bundle, and signatures of nothing else are checked',
}

/** Throws SIGNATURE_INVALID for one that is too large to be one. */
async function signedFiles(
  layers: PackageLayers,
  { definition, signed, read }: { definition: Buffer; signed: boolean; read: Read },
): Promise<SignedFiles> {
  const { bundle, base64 } = signatureLayers(layers)
  if (bundle) checkSignatureSize(bundle.size, SIGSTORE_BUNDLE)
  if (base64) checkSignatureSize(base64.size, LEGACY_SIGNATURE)
  const [bundleBytes, base64Bytes] = await Promise.all([bundle && read(bundle), base64 && read(base64)])
  return { definition, signed, bundle: bundleBytes, base64: base64Bytes }
}

/** For the log of a job that wanted it checked. */
export function tellVerified(
  signatures: readonly PackageSignature[],
  { where, onEvent }: { where: string; onEvent: OnEvent },
): void {
  const verified = signatures.some((signature) => signature.verified === true)
  const came = verified ? 'is signed by whom it has to be' : 'goes with its signature unchecked'
  onEvent({ type: 'log', level: verified ? 'info' : 'warn', message: `${where} ${came}` })
}

/** What a package is signed with, as it says itself. */
export interface FoundSignatures {
  signed: boolean
  signatures: PackageSignature[]
}

/** Unverified. Throws SIGNATURE_INVALID for a file too large to be one, and what `read` throws. */
export async function signaturesOf(
  layers: PackageLayers,
  { definition, signed, read }: { definition: Buffer; signed: boolean; read: Read },
): Promise<FoundSignatures> {
  return { signed, signatures: lookAtSignatures(await signedFiles(layers, { definition, signed, read })) }
}

import type { Descriptor } from '../content/descriptor.ts'
import type { Repository } from '../oci/registry.ts'
import type { ContentStore } from '../store/content-store.ts'
import type { Digest } from '../content/digest.ts'
import {
  checkSignatureSize,
  lookAtSignatures,
  type PackageSignature,
  type SignedFiles,
  type Verification,
} from '../trust/verification.ts'
import { BUNDLE_SIGNATURE, DEFINITION, LEGACY_SIGNATURE } from '../zarf/package.ts'
import {
  checkMetadata,
  metadataLayers,
  type PackageLayers,
  packageLayers,
  type PulledMetadata,
  readMetadata,
  signatureLayers,
} from '../zarf/pulled-package.ts'
import { packageSource } from './package-source.ts'
import { checkArchitecture, type ResolveRequest, resolvePackage } from './resolve.ts'
import { openStoredPackage } from './stored-package.ts'

export type { PackageSignature } from '../trust/verification.ts'

type Read = (layer: Descriptor) => Promise<Buffer>

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

/** Throws SIGNATURE_INVALID for one that is too large to be one. */
async function signedFiles(
  layers: PackageLayers,
  { definition, signed, read }: { definition: Buffer; signed: boolean; read: Read },
): Promise<SignedFiles> {
  const { bundle, base64 } = signatureLayers(layers)
  if (bundle) checkSignatureSize(bundle.size, BUNDLE_SIGNATURE)
  if (base64) checkSignatureSize(base64.size, LEGACY_SIGNATURE)
  const [bundleBytes, base64Bytes] = await Promise.all([bundle && read(bundle), base64 && read(base64)])
  return { definition, signed, bundle: bundleBytes, base64: base64Bytes }
}

/** What a package is signed with, as it says itself. */
export interface FoundSignatures {
  signed: boolean
  signatures: PackageSignature[]
}

/** Of a remote package. Throws what resolving and reading throw, SIGNATURE_INVALID for a file too large to be one. */
export async function remoteSignatures(
  request: ResolveRequest,
  { repository, signal }: { repository: Repository; signal: AbortSignal },
): Promise<FoundSignatures> {
  const resolved = await resolvePackage(repository, request, signal)
  const layers = packageLayers(resolved.manifest, resolved.where)
  const source = packageSource(repository, signal)
  const read = (layer: Descriptor) => source.read(layer)
  const definition = await read(metadataLayers(layers).definition)
  const { signed, identity } = await readMetadata(layers, definition, signal)
  if (resolved.indexDigest === undefined) checkArchitecture(identity.architecture, request)
  return { signed, signatures: lookAtSignatures(await signedFiles(layers, { definition, signed, read })) }
}

/** Of a stored one. Throws PACKAGE_NOT_STORED, STORE_CORRUPT, SIGNATURE_INVALID. */
export async function storedSignatures(
  store: ContentStore,
  digest: Digest,
  signal: AbortSignal,
): Promise<FoundSignatures> {
  const opened = await openStoredPackage(store, digest, signal)
  const { layers, signed } = opened
  const read = (layer: Descriptor) => store.read(layer, { signal })
  const definition = await opened.file(DEFINITION)
  return { signed, signatures: lookAtSignatures(await signedFiles(layers, { definition, signed, read })) }
}

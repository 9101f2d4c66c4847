import { distinct } from '../../content/copy-graph.ts'
import type { Descriptor } from '../../content/descriptor.ts'
import { type Digest, parseDigest } from '../../content/digest.ts'
import { formatReference } from '../../content/reference.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { Repository } from '../../oci/registry.ts'
import type { ContentStore } from '../../store/content-store.ts'
import { lookAtSignatures, type PackageSignature, type Verification } from '../../trust/verification.ts'
import { checksumMismatch, type DefinitionOutline, type OpenedPackage } from '../../zarf/package.ts'
import { isOpenedBundle, type OpenedBundle } from '../../uds/bundle-archive.ts'
import {
  isBundle,
  metadataLayers,
  type PackageLayers,
  packageLayers,
  signatureLayers,
} from '../../zarf/pulled-package.ts'
import type { BundledPackage } from '../bundle/packages.ts'
import type { OnEvent } from '../events.ts'
import { packageSource } from '../package-source.ts'
import { announceBlobs, totalBytes } from '../plan.ts'
import { checkArchitecture, named, type ResolveRequest, resolvePackage } from '../resolve.ts'
import { checkPackage } from '../signatures.ts'
import { isStoredBundle } from '../bundle/stored.ts'
import { openStoredPackage, requireWhole } from '../stored-package.ts'
import { verifyOpenedBundle, verifyRemoteBundle, verifyStoredBundle } from './bundle.ts'
import { readOpened } from './opened.ts'
import { readProgress } from './progress.ts'

export interface VerifyDependencies {
  /** What has to hold of the signature. Default: it is told, and not checked. */
  verification: Verification | undefined
  onEvent: OnEvent
  signal: AbortSignal
}

export interface VerifyOutcome {
  /** What was verified, as it was named. */
  reference: string
  /** The package's manifest. */
  digest: Digest
  architecture: string
  name: string
  version: string | null
  flavor: string | null
  /** Of a bundle. */
  packages?: BundledPackage[]
  layers: number
  /** Of all layers. */
  bytes: number
  signed: boolean
  signatures: PackageSignature[]
  checksums: CheckedChecksums
}

/** zarf.yaml vouches for checksums.txt, that for every other file. */
export interface CheckedChecksums {
  /** SHA-256 of checksums.txt, as zarf.yaml has it; of a bundle its uds-bundle.yaml's, which pins its packages. */
  aggregate: Digest
  /** All files of the package. */
  files: number
  /** Those whose bytes were read and hashed; of the others of a remote package the manifest's digests are those of checksums.txt. */
  hashed: number
  hashedBytes: number
}

/**
 * Verifies a remote package from its small layers: zarf.yaml, checksums.txt and what it is signed with. Throws what resolving
 * and reading throw, PACKAGE_*, SIGNATURE_*.
 */
export async function verifyRemote(
  request: ResolveRequest,
  { repository, ...dependencies }: VerifyDependencies & { repository: Repository },
): Promise<VerifyOutcome> {
  const { verification = 'look', onEvent, signal } = dependencies
  onEvent({ type: 'phase', phase: 'planning' })
  const resolved = await resolvePackage(repository, request, signal)
  if (isBundle(resolved.manifest))
    return await verifyRemoteBundle({ request, resolved }, { repository, ...dependencies })
  const layers = packageLayers(resolved.manifest, resolved.where)
  const source = packageSource(repository, signal)
  const small = smallLayers(layers)
  announceBlobs(small, onEvent)
  onEvent({ type: 'phase', phase: 'verifying' })
  const progress = readProgress(dependencies)
  const read = async (layer: Descriptor): Promise<Buffer> => {
    const bytes = await source.read(layer)
    progress.done(layer)
    return bytes
  }
  const checked = await checkPackage(layers, { read, verification, where: resolved.where, signal })
  const { identity, definition, signed } = checked.metadata
  onEvent({ type: 'package', identity })
  if (resolved.indexDigest === undefined) checkArchitecture(identity.architecture, request)
  return {
    reference: formatReference(named(request.reference)),
    digest: resolved.raw.digest,
    ...identityFields(identity),
    layers: layers.layers.length,
    bytes: totalBytes(distinct(layers.layers)),
    signed,
    signatures: [...checked.signatures],
    checksums: checksumsOf(definition, { files: layers.layers, hashed: small }),
  }
}

/** Verifies every file of a stored package. Throws PACKAGE_NOT_STORED, PACKAGE_INCOMPLETE, STORE_CORRUPT, PACKAGE_*, SIGNATURE_*. */
export async function verifyStored(
  digest: Digest,
  { store, ...dependencies }: VerifyDependencies & { store: ContentStore },
): Promise<VerifyOutcome> {
  const { verification = 'look', onEvent, signal } = dependencies
  onEvent({ type: 'phase', phase: 'planning' })
  if (await isStoredBundle(store, digest)) return await verifyStoredBundle(digest, { store, ...dependencies })
  const opened = await openStoredPackage(store, digest, signal)
  const { layers, record } = opened
  onEvent({ type: 'package', identity: opened.identity })
  await requireWhole(store, opened)
  await using _lease = await store.lease(layers.layers)
  announceBlobs(distinct(layers.layers), onEvent)
  onEvent({ type: 'phase', phase: 'verifying' })
  const progress = readProgress(dependencies)
  for (const [path, layer] of layers.byTitle) {
    await progress.through(layer, await store.open(layer, { signal }), checksumMismatch(path, layer.digest))
  }
  const read = (layer: Descriptor) => store.read(layer, { signal })
  const where = `${digest} in the store`
  const { metadata, signatures } = await checkPackage(layers, { read, verification, where, signal })
  return {
    reference: record.references[0] ?? `store:${digest}`,
    digest,
    ...identityFields(metadata.identity),
    layers: layers.layers.length,
    bytes: totalBytes(distinct(layers.layers)),
    signed: metadata.signed,
    signatures: [...signatures],
    checksums: checksumsOf(metadata.definition, { files: layers.layers, hashed: layers.layers }),
  }
}

/** Verifies every file of a package on this machine. `reference`: as its user named it. Throws PACKAGE_*, SIGNATURE_*. */
export async function verifyOpened(
  opened: OpenedPackage | OpenedBundle,
  options: VerifyDependencies & { reference: string },
): Promise<VerifyOutcome> {
  if (isOpenedBundle(opened)) return await verifyOpenedBundle(opened, options)
  const { reference, verification, onEvent, signal } = options
  onEvent({ type: 'phase', phase: 'verifying' })
  const known = opened.kind === 'indexed' ? opened.contents.identity : (opened.known?.identity ?? opened.guess)
  if (known) onEvent({ type: 'package', identity: known })
  const { contents, files } = await readOpened(opened, { whole: true, onEvent, signal })
  const { identity, definition, signed, layers, manifest } = contents
  onEvent({ type: 'package', identity })
  await nextTurn()
  return {
    reference,
    digest: manifest.digest,
    ...identityFields(identity),
    layers: layers.length,
    bytes: totalBytes(distinct(layers)),
    signed,
    signatures: [...(verification ? verification.check(files, opened.fileName) : lookAtSignatures(files))],
    checksums: checksumsOf(definition, { files: layers, hashed: layers }),
  }
}

function smallLayers(layers: PackageLayers): Descriptor[] {
  const { bundle, base64 } = signatureLayers(layers)
  const all = [...Object.values(metadataLayers(layers)), bundle, base64]
  return distinct(all.filter((layer) => layer !== undefined))
}

function identityFields(identity: {
  name: string
  version: string | undefined
  flavor: string | undefined
  architecture: string
}): Pick<VerifyOutcome, 'name' | 'version' | 'flavor' | 'architecture'> {
  const { name, version, flavor, architecture } = identity
  return { name, version: version ?? null, flavor: flavor ?? null, architecture }
}

function checksumsOf(
  { metadata }: DefinitionOutline,
  { files, hashed }: { files: readonly Descriptor[]; hashed: readonly Descriptor[] },
): CheckedChecksums {
  return {
    aggregate: parseDigest(`sha256:${metadata?.aggregateChecksum ?? ''}`),
    files: files.length,
    hashed: hashed.length,
    hashedBytes: totalBytes(distinct(hashed)),
  }
}

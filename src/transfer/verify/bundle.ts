import { type Descriptor, titleOrDigest } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { formatReference } from '../../content/reference.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { Repository } from '../../oci/registry.ts'
import type { ContentStore } from '../../store/content-store.ts'
import type { OpenedBundle } from '../../uds/bundle-archive.ts'
import { type Bundle, readBundle, type ReadBlob } from '../../uds/contents/bundle.ts'
import { checkMetadata, metadataLayers } from '../../zarf/pulled-package.ts'
import { findBundleBlobs, presentBlobs } from '../bundle/blobs.ts'
import { checkBundleSignature } from '../bundle/signature.ts'
import { bundledPackages } from '../bundle/packages.ts'
import { packageSource } from '../package-source.ts'
import { announce, announceBlobs, toldReads, totalBytes } from '../plan.ts'
import { readerOf, readOpenedBundle, wrongBlob } from '../bundle/read.ts'
import { checkArchitecture, named, type ResolvedPackage, type ResolveRequest } from '../resolve.ts'
import { openStoredBundle } from '../bundle/stored.ts'
import { readProgress } from './progress.ts'
import type { VerifyDependencies, VerifyOutcome } from './verify.ts'

/**
 * Verifies a remote bundle: its signature, each package's zarf.yaml, checksums.txt and manifest against each other, and that
 * every blob is there that should be. Reads the small ones alone.
 */
export async function verifyRemoteBundle(
  { request, resolved }: { request: ResolveRequest; resolved: ResolvedPackage },
  { repository, ...dependencies }: VerifyDependencies & { repository: Repository },
): Promise<VerifyOutcome> {
  const { onEvent, signal } = dependencies
  const { where, raw } = resolved
  const source = packageSource(repository, signal)
  const hashed = new Map<Digest, Descriptor>()
  const progress = readProgress(dependencies)
  const read: ReadBlob = async (blob) => {
    const bytes = await source.read(blob)
    if (!hashed.has(blob.digest)) announce(blob, onEvent)
    progress.done(blob)
    hashed.set(blob.digest, blob)
    return bytes
  }
  onEvent({ type: 'phase', phase: 'verifying' })
  const bundle = await readBundle(raw, { read, where, signal })
  onEvent({ type: 'package', identity: bundle.identity })
  if (resolved.indexDigest === undefined) checkArchitecture(bundle.outline.architecture, request)
  const blobs = await findBundleBlobs(bundle, { repository, read, where, onEvent, signal })
  const reference = formatReference(named(request.reference))
  const outcome = await verified(bundle, { read, where, reference, blobs, ...dependencies })
  onEvent({ type: 'plan', layers: hashed.size, bytes: totalBytes([...hashed.values()]) })
  return { ...outcome, checksums: checksumsOf(bundle, blobs, [...hashed.values()]) }
}

/** Verifies every blob of a stored bundle. Throws PACKAGE_INCOMPLETE, STORE_CORRUPT. */
export async function verifyStoredBundle(
  digest: Digest,
  { store, ...dependencies }: VerifyDependencies & { store: ContentStore },
): Promise<VerifyOutcome> {
  const { onEvent, signal } = dependencies
  const stored = await openStoredBundle(store, digest, signal)
  const { bundle, blobs, record } = stored
  onEvent({ type: 'package', identity: bundle.identity })
  await stored.requireWhole()
  await using _lease = await store.lease(blobs)
  announceBlobs(blobs, onEvent)
  onEvent({ type: 'phase', phase: 'verifying' })
  const progress = readProgress(dependencies)
  for (const blob of blobs) {
    await progress.through(blob, await store.open(blob, { signal }), wrongBlob(titleOrDigest(blob), blob.digest))
  }
  const read: ReadBlob = (blob) => store.read(blob, { signal })
  const where = `${digest} in the store`
  const reference = record.references[0] ?? `store:${digest}`
  return await verified(bundle, { read, where, reference, blobs, ...dependencies })
}

/** Verifies every blob of a bundle's archive. */
export async function verifyOpenedBundle(
  opened: OpenedBundle,
  { reference, ...dependencies }: VerifyDependencies & { reference: string },
): Promise<VerifyOutcome> {
  const { onEvent, signal } = dependencies
  onEvent({ type: 'phase', phase: 'verifying' })
  const bundle = await readOpenedBundle(opened, signal)
  onEvent({ type: 'package', identity: bundle.identity })
  const there = await readAllOf(opened, bundle, dependencies)
  const read = readerOf(opened, signal)
  const blobs = await presentBlobs(bundle, there, { read, where: opened.fileName, onEvent, signal })
  onEvent({ type: 'plan', layers: blobs.length, bytes: totalBytes(blobs) })
  return await verified(bundle, { read, where: opened.fileName, reference, blobs, ...dependencies })
}

async function readAllOf(
  opened: OpenedBundle,
  bundle: Bundle,
  { onEvent, signal }: VerifyDependencies,
): Promise<ReadonlySet<Digest>> {
  const progress = readProgress({ onEvent, signal })
  const byDigest = new Map(bundle.blobs.map((blob) => [blob.digest, blob]))
  const there = new Set<Digest>()
  const took = (blob: Descriptor): void => {
    announce(blob, onEvent)
    there.add(blob.digest)
  }
  if (opened.kind === 'indexed-bundle') {
    for (const blob of bundle.blobs.filter(({ digest }) => opened.has(digest))) {
      took(blob)
      await progress.through(blob, await opened.open(blob, { signal }), wrongBlob(titleOrDigest(blob), blob.digest))
    }
    return there
  }
  const { config } = bundle
  took(config.descriptor)
  progress.done(config.descriptor)
  onEvent({ type: 'outline', layers: bundle.blobs.length })
  await using pass = opened.pass({ signal, onRead: toldReads(opened, onEvent) })
  for await (const entry of pass) {
    const { path, digest } = entry
    const blob = byDigest.get(digest)
    if (!blob) continue
    took(blob)
    await progress.through(blob, entry.content(), wrongBlob(path, digest))
  }
  return there
}

/** What holds for a bundle wherever it lies, once its blobs have been read or looked for. */
async function verified(
  bundle: Bundle,
  options: VerifyDependencies & { read: ReadBlob; where: string; reference: string; blobs: readonly Descriptor[] },
): Promise<VerifyOutcome> {
  const { read, where, reference, blobs, verification = 'look', signal } = options
  const signatures = await checkBundleSignature(bundle, { read, verification, where })
  for (const { layers } of bundle.packages) {
    const small = metadataLayers(layers)
    const [definition, checksums] = [await read(small.definition), await read(small.checksums)]
    await checkMetadata(layers, { definition, checksums }, signal)
    await nextTurn()
  }
  const { name, version, architecture } = bundle.outline
  return {
    reference,
    digest: bundle.raw.digest,
    name,
    version,
    flavor: null,
    architecture,
    packages: bundledPackages(bundle),
    layers: blobs.length,
    bytes: totalBytes(blobs),
    signed: bundle.layers.signature !== undefined,
    signatures: [...signatures],
    checksums: checksumsOf(bundle, blobs, blobs),
  }
}

/** uds-bundle.yaml pins each package by its manifest's digest, that every blob. */
function checksumsOf(
  { layers }: Bundle,
  files: readonly Descriptor[],
  hashed: readonly Descriptor[],
): VerifyOutcome['checksums'] {
  const { digest } = layers.definition
  return { aggregate: digest, files: files.length, hashed: hashed.length, hashedBytes: totalBytes(hashed) }
}

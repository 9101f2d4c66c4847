import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import type { ContentStore, StoredPackage } from '../../store/content-store.ts'
import type { ComputedArchive } from '../../zarf/computed-archive.ts'
import { computeUpdate, type UpdateList } from '../../zarf/computed-update.ts'
import { partsOf } from '../../zarf/update-parts.ts'
import { blobsByTitle, leased, readStoredManifest, requireStored, type StoredManifest } from '../stored-package.ts'
import { isStoredBundle } from '../bundle/stored.ts'

/** What of a stored package another one lacks, once both were read. */
export interface StoredUpdate {
  readonly made: StoredManifest
  readonly base: StoredManifest
  readonly list: UpdateList
}

/**
 * The archive that makes `digest` of `since`. Of the base no more than its manifest has to be stored, of the package what the base lacks.
 * Each stream holds a lease. Throws as readUpdate, PACKAGE_INCOMPLETE with the files that are not stored.
 */
export async function openStoredUpdate(
  store: ContentStore,
  { digest, since, signal }: { digest: Digest; since: Digest; signal: AbortSignal },
): Promise<ComputedArchive> {
  const { made, base, list } = await readUpdate(store, { digest, since, signal })
  checkRelated(made.record, base.record)
  await requireStored(store, made.record, blobsByTitle(list.included))
  const archive = computeUpdate({ list, manifest: made.raw, baseFlavor: base.record.flavor, source: store })
  return { ...archive, open: (range) => leased(store, list.included, archive.open(range)) }
}

/** Throws PACKAGE_NOT_STORED, STORE_CORRUPT, PACKAGE_FORMAT_UNSUPPORTED for bundles, REQUEST_INVALID where both are one. */
export async function readUpdate(
  store: ContentStore,
  { digest, since, signal }: { digest: Digest; since: Digest; signal: AbortSignal },
): Promise<StoredUpdate> {
  for (const each of [digest, since]) if (await isStoredBundle(store, each)) throw isOfBundle(each)
  const made = await readStoredManifest(store, digest, signal)
  if (digest === since) throw isSame(digest)
  const base = await readStoredManifest(store, since, signal)
  const { name, version, flavor, architecture } = made.record
  const list = {
    package: { name, version, flavor, architecture },
    manifest: descriptorOf(made),
    base: { ...descriptorOf(base), version: base.record.version },
    ...partsOf(made.layers, base.layers),
  }
  return { made, base, list }
}

function descriptorOf({ record, raw }: StoredManifest): Descriptor {
  return { mediaType: raw.mediaType, digest: record.digest, size: raw.bytes.length }
}

/** Whether they are versions or flavors of one package, for one architecture. */
export function isRelated(made: StoredPackage, base: StoredPackage): boolean {
  return made.name === base.name && made.architecture === base.architecture
}

/** An update names one package: of another one it would be for whoever has both. */
function checkRelated(made: StoredPackage, base: StoredPackage): void {
  if (isRelated(made, base)) return
  throw new AppError(
    'REQUEST_INVALID',
    `"since" is ${base.name} for ${base.architecture}, and the package is ${made.name} for ${made.architecture}`,
    {
      hint: 'An update goes from one version or flavor of a package to another, of one architecture. GET .../changes compares any two.',
      details: { pointer: '/since', digest: made.digest, since: base.digest },
    },
  )
}

function isSame(digest: Digest): AppError {
  return new AppError('REQUEST_INVALID', `"since" is the package itself, ${digest}`, {
    hint: 'Name the one that the other side has; GET /v1/packages tells digests. Without "since" the whole archive is given.',
    details: { pointer: '/since', digest },
  })
}

function isOfBundle(digest: Digest): AppError {
  return new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${digest} is a UDS bundle, and updates are of packages`, {
    hint: 'A bundle is carried whole. A package of it can be pulled from its own repository, and updated by itself.',
    details: { digest },
  })
}

import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { parseManifest, type RawManifest, rawManifest } from '../../content/manifest.ts'
import { AppError } from '../../lib/errors.ts'
import { goJson } from '../../oci/manifests/go-json.ts'
import type { IndexEntry } from '../../oci/manifests/index-manifest.ts'
import type { RawEntry } from '../../oci/manifests/tag-index.ts'
import { type PackageContents, signedContents } from '../../zarf/package.ts'
import { isBundle, isPackage, metadataLayers, packageLayers } from '../../zarf/pulled-package.ts'
import type { PackageSource } from '../package-source.ts'
import { checkManifestSize } from '../plan.ts'
import { checkPackage } from '../signatures.ts'
import type { Signing } from '../signing.ts'
import type { Ending } from './ending.ts'
import type { ManifestTree, ReadManifest } from './tree.ts'

/** A copy's packages as they are once they are signed. */
export interface SignedCopy<T> {
  readonly tree: Pick<ManifestTree, 'all'>
  readonly tagged: readonly T[]
  /** What signing made: all that the source does not have. */
  readonly made: ReadonlyMap<Digest, Buffer>
}

export interface SignCopyOptions {
  readonly signing: Signing
  readonly reader: PackageSource
  readonly where: string
  readonly signal: AbortSignal
}

/**
 * Signs each package of a copy, from its small layers alone; every other layer stays as it is. Throws PACKAGE_NOT_SIGNABLE
 * for what holds anything but packages, PACKAGE_*, and what signing throws.
 */
export async function signPackages<T extends { readonly ending: Ending }>(
  { tree, tagged }: { tree: ManifestTree; tagged: readonly T[] },
  options: SignCopyOptions,
): Promise<SignedCopy<T>> {
  const { where, signing } = options
  for (const { ending } of tagged) checkEnding(ending, where)
  const signed = new Map<Digest, PackageContents>()
  const made = new Map<Digest, Buffer>()
  for (const found of tree.all) {
    const { contents, bytes } = await signPackage(found, options)
    checkManifestSize(contents.manifest.bytes.length, contents.layers.length)
    signed.set(found.raw.digest, contents)
    for (const [digest, each] of bytes) made.set(digest, each)
    signing.tell(`${where} for ${contents.identity.architecture}`, found.raw.digest, contents.manifest.digest)
  }
  return {
    tree: { all: [...signed.values()].map(({ manifest: raw }) => ({ raw, parsed: parseManifest(raw, where) })) },
    tagged: tagged.map((one) => ({ ...one, ending: signedEnding(one.ending, signed) })),
    made,
  }
}

function checkEnding({ kind, raw }: Ending, where: string): void {
  if (kind === 'put' && parseManifest(raw, where).kind === 'index')
    throw notSignable(where, 'is not an index of packages')
}

async function signPackage(
  { raw, parsed }: ReadManifest,
  { signing, reader, where, signal }: SignCopyOptions,
): Promise<{ contents: PackageContents; bytes: ReadonlyArray<readonly [Digest, Buffer]> }> {
  const here = `${where} (${raw.digest})`
  if (parsed.kind === 'index') throw notSignable(here, 'is an index inside an index')
  if (isBundle(parsed)) throw notSignable(here, 'is a UDS bundle')
  if (!isPackage(parsed)) throw notSignable(here, 'is no Zarf package')
  const layers = packageLayers(parsed, here)
  const read = (layer: Descriptor) => reader.read(layer)
  await checkPackage(layers, { read, verification: undefined, where: here, signal })
  const made = await signing.sign(await read(metadataLayers(layers).definition))
  const files = [...layers.byTitle].map(([path, { digest, size }]) => ({ path, digest, size }))
  const contents = await signedContents({ files }, made)
  const { config } = contents
  const own = [made.definition, made.bundle].map(({ digest, bytes }) => [digest, bytes] as const)
  return { contents, bytes: [...own, [config.descriptor.digest, config.bytes]] }
}

/** What lies under the tag then names the signed packages in place of those before. */
function signedEnding(ending: Ending, signed: ReadonlyMap<Digest, PackageContents>): Ending {
  if (ending.kind === 'put') return { ...ending, raw: signed.get(ending.raw.digest)?.manifest ?? ending.raw }
  const entries = ending.entries.map((entry) => signedEntry(entry, signed))
  const fresh = ending.fresh && signedIndex(ending.fresh, entries)
  return { ...ending, entries, fresh, raw: fresh ?? signed.get(ending.raw.digest)?.manifest ?? ending.raw }
}

function signedEntry(entry: IndexEntry, signed: ReadonlyMap<Digest, PackageContents>): IndexEntry {
  const manifest = signed.get(entry.descriptor.digest)?.manifest
  if (!manifest) return entry
  const descriptor = { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length }
  if (!entry.raw) return { ...entry, descriptor }
  // Of the kind of manifest that it was.
  const { artifactType: _, ...raw } = entry.raw
  return { ...entry, descriptor, raw: { ...raw, ...descriptor } }
}

function signedIndex({ mediaType, bytes }: RawManifest, entries: readonly IndexEntry[]): RawManifest {
  const body = JSON.parse(bytes.toString('utf8')) as Record<string, unknown> & { manifests: RawEntry[] }
  return rawManifest(
    mediaType,
    goJson({ ...body, manifests: body.manifests.map((known, at) => entries[at]?.raw ?? known) }),
  )
}

function notSignable(where: string, why: string): AppError {
  return new AppError('PACKAGE_NOT_SIGNABLE', `${where} ${why}, and only packages are signed here`, {
    hint: 'Leave "options.sign" out; an image or a bundle is signed with the tools that made it.',
    side: 'source',
  })
}

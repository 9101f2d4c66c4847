import type { Digest } from '../../content/digest.ts'
import { formatReference } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { Repository } from '../../oci/registry.ts'
import type { ContentStore } from '../../store/content-store.ts'
import type { OpenedBundle } from '../../uds/bundle-archive.ts'
import {
  type Bundle,
  bundleFileName,
  type BundlePackage,
  readBundle,
  type BundleOutline,
  type BundlePackageOutline,
  type ReadBlob,
} from '../../uds/contents/bundle.ts'
import { chosenComponents } from '../../uds/contents/left-out.ts'
import { isBundle, metadataLayers, readMetadata, withConfig } from '../../zarf/pulled-package.ts'
import { componentImages } from '../../zarf/select.ts'
import { tagsIfListed } from '../listed-tags.ts'
import { packageSource } from '../package-source.ts'
import { totalBytes } from '../plan.ts'
import { readerOf } from './read.ts'
import { checkArchitecture, named, type ResolveRequest, resolvePackage } from '../resolve.ts'
import { openStoredBundle } from './stored.ts'

/** One package of a bundle, by uds-bundle.yaml, and by its own zarf.yaml. */
export interface InspectedBundlePackage extends BundlePackageOutline {
  /** Of its manifest. */
  readonly digest: Digest
  readonly version: string | null
  readonly architecture: string
  /** What its manifest names, what the bundle leaves out included. */
  readonly layers: number
  readonly size: number
  /** Whether it says so itself. */
  readonly signed: boolean
  readonly components: ReadonlyArray<{
    readonly name: string
    readonly description: string | null
    readonly required: boolean
    readonly default: boolean
    /** Whether the bundle should have it. */
    readonly included: boolean
  }>
  /** Of the components that the bundle should have. */
  readonly images: readonly string[]
  /** Zarf's own, which a deploy may set. */
  readonly variables: ReadonlyArray<{
    readonly name: string
    readonly description: string | null
    readonly default: string | null
    readonly sensitive: boolean
    readonly prompt: boolean
  }>
}

/** A bundle, as its metadata tell it. */
export interface InspectedBundle extends Omit<BundleOutline, 'packages'> {
  /** As it was named; of a registry oci://HOST/NS/NAME:TAG. */
  readonly reference: string
  /** The index under the tag; null for a manifest that lies there directly, or nowhere in a registry. */
  readonly indexDigest: Digest | null
  /** The bundle's root manifest. */
  readonly digest: Digest
  /** Of the tag. */
  readonly architectures: readonly string[]
  /** Of the repository; null where the registry does not list them, and elsewhere. */
  readonly tags: readonly string[] | null
  readonly signed: boolean
  /** All blobs that it and its packages' manifests name, each once, what it leaves out included. */
  readonly layers: number
  readonly size: number
  /** What uds calls its archive. */
  readonly fileName: string
  readonly packages: readonly InspectedBundlePackage[]
}

/** zarf.yaml files of all packages together, which are read for a look. */
const MAX_DEFINITIONS_BYTES = 32 * 1024 * 1024
/** The same as JSON, where a small one may stand for 16 MiB. */
const MAX_TOLD_BYTES = 64 * 1024 * 1024

/**
 * Looks at a bundle in its registry: manifests, uds-bundle.yaml and each package's zarf.yaml are fetched, and nothing else.
 * Throws what resolving throws, PACKAGE_*, MANIFEST_*.
 */
export async function inspectBundle(
  request: ResolveRequest,
  { repository, signal }: { repository: Repository; signal: AbortSignal },
): Promise<InspectedBundle> {
  const resolved = await resolvePackage(repository, request, signal)
  const { where, raw, indexDigest = null } = resolved
  if (!isBundle(resolved.manifest)) throw noBundle(where)
  const source = packageSource(repository, signal)
  const read: ReadBlob = (blob) => source.read(blob)
  const [bundle, tags] = await Promise.all([readBundle(raw, { read, where, signal }), tagsIfListed(repository, signal)])
  const { architecture } = bundle.outline
  if (indexDigest === null) checkArchitecture(architecture, request)
  const architectures = indexDigest === null ? [architecture] : resolved.architectures
  const reference = formatReference(named(request.reference))
  return { reference, indexDigest, architectures, tags, ...(await describe(bundle, read, signal)) }
}

/** The same for a bundle of the store. Throws PACKAGE_NOT_STORED, STORE_CORRUPT. */
export async function inspectStoredBundle(
  store: ContentStore,
  digest: Digest,
  signal: AbortSignal,
): Promise<InspectedBundle> {
  const record = await store.packages.get(digest)
  if (record && record.kind !== 'bundle') throw noBundle(`${digest} in the store`)
  const { bundle } = await openStoredBundle(store, digest, signal)
  return await nowhere(`store:${digest}`, bundle, { read: (blob) => store.read(blob, { signal }), signal })
}

/** The same for an archive, of which the head is read. */
export async function inspectOpenedBundle(
  opened: OpenedBundle,
  { reference, signal }: { reference: string; signal: AbortSignal },
): Promise<InspectedBundle> {
  if (opened.kind === 'indexed-bundle') {
    return await nowhere(reference, opened.bundle, { read: readerOf(opened, signal), signal })
  }
  const bundle = await opened.read({ signal })
  // One reading for all of them.
  const wanted = bundle.packages.map(({ layers }) => metadataLayers(layers).definition)
  checkDefinitions(bundle)
  const found = await opened.readBlobs(wanted, { signal })
  const read: ReadBlob = async (blob) => found.get(blob.digest) ?? (await readerOf(opened, signal)(blob))
  return await nowhere(reference, bundle, { read, signal })
}

async function nowhere(
  reference: string,
  bundle: Bundle,
  { read, signal }: { read: ReadBlob; signal: AbortSignal },
): Promise<InspectedBundle> {
  const architectures = [bundle.outline.architecture]
  return { reference, indexDigest: null, architectures, tags: null, ...(await describe(bundle, read, signal)) }
}

async function describe(
  bundle: Bundle,
  read: ReadBlob,
  signal: AbortSignal,
): Promise<Omit<InspectedBundle, 'reference' | 'indexDigest' | 'architectures' | 'tags'>> {
  checkDefinitions(bundle)
  const packages: InspectedBundlePackage[] = []
  const room = { left: MAX_TOLD_BYTES }
  for (const each of bundle.packages) packages.push(await describePackage(each, { read, room, signal }))
  const { packages: _, ...outline } = bundle.outline
  return {
    ...outline,
    digest: bundle.raw.digest,
    signed: bundle.layers.signature !== undefined,
    layers: bundle.blobs.length,
    size: totalBytes(bundle.blobs),
    fileName: bundleFileName(outline),
    packages,
  }
}

async function describePackage(
  found: BundlePackage,
  { read, room, signal }: { read: ReadBlob; room: { left: number }; signal: AbortSignal },
): Promise<InspectedBundlePackage> {
  const { layers, manifest, outline } = found
  const bytes = await read(metadataLayers(layers).definition)
  const { definition, definitionJson, identity, signed } = await readMetadata(layers, bytes, signal)
  room.left -= definitionJson.length
  if (room.left < 0) throw tooMuch(`once aliases are what they stand for more than ${MAX_TOLD_BYTES} bytes, which`)
  const chosen = new Set(await chosenComponents(found, definition))
  await nextTurn()
  return {
    ...outline,
    digest: manifest.digest,
    version: identity.version ?? null,
    architecture: identity.architecture,
    layers: layers.layers.length,
    size: totalBytes(withConfig(layers, layers.layers)),
    signed,
    components: (definition.components ?? []).map((component) => ({
      name: component.name ?? '',
      description: component.description ?? null,
      required: component.required ?? false,
      default: component.default ?? false,
      included: chosen.has(component),
    })),
    images: componentImages([...chosen]),
    variables: (definition.variables ?? []).map((variable) => ({
      name: variable.name ?? '',
      description: variable.description ?? null,
      default: variable.default ?? null,
      sensitive: variable.sensitive ?? false,
      prompt: variable.prompt ?? false,
    })),
  }
}

/** Of packages that share one it counts for each, as it is told for each. */
function checkDefinitions({ packages }: Bundle): void {
  const bytes = totalBytes(packages.map(({ layers }) => metadataLayers(layers).definition))
  if (bytes > MAX_DEFINITIONS_BYTES) throw tooMuch(`${bytes} bytes; more than ${MAX_DEFINITIONS_BYTES}`)
}

function tooMuch(what: string): AppError {
  return new AppError('PACKAGE_TOO_LARGE', `the zarf.yaml files of the bundle have ${what} are not read for a look`, {
    details: { limit: MAX_DEFINITIONS_BYTES },
  })
}

function noBundle(where: string): AppError {
  return new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${where} is not a UDS bundle`, {
    hint: 'layerd inspect (GET /v1/remote-packages?ref=, of a stored one GET /v1/packages/{digest}/overview) looks at a Zarf package.',
  })
}

import { distinct } from '../../content/copy-graph.ts'
import { type Descriptor, descriptorTitle } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { type ImageIndex, type ImageManifest, parseManifest, type RawManifest } from '../../content/manifest.ts'
import type { CatalogueArchitecture, CatalogueKind, CatalogueTag } from '../../jobs/model/catalogue.ts'
import { AppError } from '../../lib/errors.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { Repository } from '../../oci/registry.ts'
import { packageSource } from '../../transfer/package-source.ts'
import { architectureOf, fetchEntry, mostLikely, packageEntries, SKELETON } from '../../transfer/resolve.ts'
import { totalBytes } from '../../transfer/plan.ts'
import { BUNDLE_SIGNATURE, readBundleIdentity } from '../../uds/contents/bundle.ts'
import {
  isBundle,
  isPackage,
  metadataLayers,
  packageLayers,
  readMetadata,
  signatureLayers,
} from '../../zarf/pulled-package.ts'
import { CHART_CONFIG, IMAGE_CONFIGS, readConfig } from './config-facts.ts'
import { toldText, toldTime } from './told-text.ts'

/** What a tag is, whatever it is called. */
export type TagFacts = Omit<CatalogueTag, 'tag' | 'signed'>

export interface FactsOptions {
  repository: Repository
  /** How errors name it: oci://host/repository:tag. */
  where: string
  tag: string
  signal: AbortSignal
}

/** An index may name thousands: each that is looked at is a request. */
const MAX_ARCHITECTURES = 16
const MAX_NAME = 255
const MAX_VERSION = 128
const MAX_DESCRIPTION = 500

/**
 * Reads what lies under a tag, and of what that names the manifests and one small file: zarf.yaml, uds-bundle.yaml or a config.
 * Throws MANIFEST_*, PACKAGE_*, SIZE_MISMATCH, REGISTRY_*.
 */
export async function readTagFacts(raw: RawManifest, options: FactsOptions): Promise<TagFacts> {
  const parsed = parseManifest(raw, options.where)
  await nextTurn()
  const manifests = parsed.kind === 'index' ? await readEntries(parsed, options) : [single(raw, parsed)]
  const likely = mostLikely(manifests.map(({ entry }) => entry))
  const chosen = manifests.find(({ entry }) => entry === likely) ?? manifests[0]
  const told = chosen ? await readTold(chosen, options) : NOTHING
  const indexed = parsed.kind === 'index'
  const architectures = manifests.map((each) => architecture(each, indexed ? undefined : told.architecture))
  return {
    digest: raw.digest,
    kind: kindOf(told.kind, architectures),
    ...textsOf(told, { ...parsed.annotations, ...chosen?.manifest.annotations }, options),
    artifactType: told.kind === 'other' ? toldText(typeOf(parsed, chosen?.manifest), MAX_NAME) : null,
    architectures,
  }
}

function textsOf(
  told: Told,
  annotations: Readonly<Record<string, string>>,
  { tag, repository }: FactsOptions,
): Pick<TagFacts, 'name' | 'version' | 'flavor' | 'description' | 'created'> {
  return {
    name: toldText(told.name, MAX_NAME) ?? lastPart(repository.repository),
    version: toldText(told.version ?? annotations[VERSION], MAX_VERSION) ?? versionTag(tag),
    flavor: toldText(told.flavor, MAX_VERSION),
    description: toldText(told.description ?? annotations[DESCRIPTION], MAX_DESCRIPTION),
    created: toldTime(told.created ?? annotations[CREATED]),
  }
}

function typeOf(parsed: ImageIndex | ImageManifest, chosen: ImageManifest | undefined): string | undefined {
  const ofTag = parsed.kind === 'manifest' ? parsed.artifactType : undefined
  return ofTag ?? chosen?.artifactType ?? chosen?.config?.mediaType
}

// Source: OCI image-spec v1.1.1 annotations.md.
const VERSION = 'org.opencontainers.image.version'
const DESCRIPTION = 'org.opencontainers.image.description'
const CREATED = 'org.opencontainers.image.created'

/** A manifest, and what names it. */
interface Entry {
  readonly entry: Descriptor
  readonly digest: Digest
  readonly manifest: ImageManifest
}

function single({ digest, mediaType, bytes }: RawManifest, manifest: ImageManifest): Entry {
  return { entry: { digest, mediaType, size: bytes.length }, digest, manifest }
}

/** Zarf's packages where there are any, else what runs somewhere: attestations are for the architecture `unknown`. */
async function readEntries(index: ImageIndex, { repository, where, signal }: FactsOptions): Promise<readonly Entry[]> {
  const packages = packageEntries(index)
  const known = index.manifests.filter((entry) => architectureOf(entry) !== 'unknown')
  const entries = (packages.length > 0 ? packages : known).slice(0, MAX_ARCHITECTURES)
  const found: Entry[] = []
  let missing: unknown
  for (const entry of entries) {
    try {
      const { raw, manifest } = await fetchEntry(repository, entry, { where, signal })
      found.push({ entry, digest: raw.digest, manifest })
    } catch (error) {
      signal.throwIfAborted()
      // A dangling entry hurts nobody else.
      if (!(error instanceof AppError) || error.retry === 'transient') throw error
      missing ??= error
    }
  }
  if (found.length === 0 && missing !== undefined) throw missing
  return found
}

interface Told {
  readonly kind: CatalogueKind
  readonly name?: string | undefined
  readonly version?: string | undefined
  readonly flavor?: string | undefined
  readonly description?: string | undefined
  readonly created?: string | undefined
  readonly architecture?: string | undefined
}

const NOTHING: Told = { kind: 'other' }

/** What its one small file says. */
async function readTold({ manifest }: Entry, { repository, where, signal }: FactsOptions): Promise<Told> {
  const source = packageSource(repository, signal)
  if (isBundle(manifest)) {
    const identity = await readBundleIdentity(manifest, { read: (blob) => source.read(blob), where, signal })
    return { kind: 'bundle', ...identity }
  }
  if (isPackage(manifest)) {
    const layers = packageLayers(manifest, where)
    const bytes = await source.read(metadataLayers(layers).definition)
    const { definition, identity } = await readMetadata(layers, bytes, signal)
    const { build, metadata, kind } = definition
    const more = { description: metadata?.description, created: build?.timestamp }
    return { kind: kind === 'ZarfInitConfig' ? 'init' : 'package', ...identity, ...more }
  }
  const type = manifest.config?.mediaType ?? ''
  if (manifest.config && (type === CHART_CONFIG || IMAGE_CONFIGS.has(type))) {
    const config = await readConfig(manifest.config, { read: (blob) => source.read(blob), where })
    return { kind: type === CHART_CONFIG ? 'chart' : 'image', ...config }
  }
  return NOTHING
}

function architecture({ entry, digest, manifest }: Entry, own: string | undefined): CatalogueArchitecture {
  const { config, layers } = manifest
  return {
    architecture: toldText(architectureOf(entry) || own, 64) ?? '',
    digest,
    size: totalBytes(distinct(config ? [config, ...layers] : layers)),
    signed: signedBy(manifest),
  }
}

/** By the files that a package or bundle carries its signature in. */
function signedBy(manifest: ImageManifest): boolean | null {
  const byTitle = new Map(manifest.layers.map((layer) => [descriptorTitle(layer) ?? '', layer]))
  if (isBundle(manifest)) return byTitle.has(BUNDLE_SIGNATURE)
  if (!isPackage(manifest)) return null
  const { bundle, base64 } = signatureLayers({ ...manifest, byTitle })
  return bundle !== undefined || base64 !== undefined
}

function kindOf(kind: CatalogueKind, architectures: readonly CatalogueArchitecture[]): CatalogueKind {
  const skeletons = architectures.length > 0 && architectures.every((one) => one.architecture === SKELETON)
  return kind === 'package' && skeletons ? 'skeleton' : kind
}

function lastPart(repository: string): string {
  return repository.slice(repository.lastIndexOf('/') + 1)
}

/** What says nothing of its version is called by its tag; `latest` and the like are none. */
function versionTag(tag: string): string | null {
  return /^v?\d/.test(tag) ? tag : null
}

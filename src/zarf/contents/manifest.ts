import { type Descriptor, TITLE_ANNOTATION } from '../../content/descriptor.ts'
import { digestOf } from '../../content/digest.ts'
import { type RawManifest, rawManifest } from '../../content/manifest.ts'
import {
  OCI_ARTIFACT_MANIFEST,
  OCI_MANIFEST,
  ZARF_CONFIG,
  ZARF_LAYER,
  ZARF_PACKAGE,
} from '../../content/media-types.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import { compareBytes, encodeMap, encodeText } from '../definition/go-json.ts'
import type { DefinitionOutline } from '../definition/outline.ts'
import type { ReadDefinition } from '../definition/read-definition.ts'
import type { PackageContents, PackageFile } from './types.ts'

/**
 * Manifest, config and layers of a package, byte for byte as zarf v0.84 pushes them. uds decodes and encodes the manifest
 * again in Go and records that digest, so it must come out of Go unchanged. In pieces: each may hold the loop for 20 ms. Source: zarf v0.84 layout/oci.go.
 */
export async function buildManifest(
  { outline, config: bytes }: ReadDefinition,
  files: readonly PackageFile[],
): Promise<Pick<PackageContents, 'manifest' | 'config' | 'layers'>> {
  const config = { descriptor: { mediaType: ZARF_CONFIG, digest: digestOf(bytes), size: bytes.length }, bytes }
  await nextTurn()
  const layers = files.map(layerOf).toSorted(compareLayers)
  await nextTurn()
  const encoded = Buffer.from(encodeManifest(outline, config.descriptor, layers))
  await nextTurn()
  return { manifest: rawManifest(OCI_MANIFEST, encoded), config, layers }
}

/** What a package's manifest may say beside what zarf's says. */
export interface ManifestRelations {
  /** What kind of artifact it is, as a media type. */
  artifactType?: string
  /** The manifest that it refers to. */
  subject?: Descriptor
}

/** The manifest of buildManifest with relations, and so with another digest. Source: OCI image-spec v1.1.1 manifest.md. */
export async function buildRelatedManifest(
  { definition, config, layers }: Pick<PackageContents, 'definition' | 'config' | 'layers'>,
  relations: ManifestRelations,
): Promise<RawManifest> {
  const encoded = Buffer.from(encodeManifest(definition, config.descriptor, layers, relations))
  await nextTurn()
  return rawManifest(OCI_MANIFEST, encoded)
}

/**
 * The same package as an artifact manifest, in the form of zarf v0.25: its layers are the blobs, and there is no config.
 * Source: OCI image-spec v1.1.0-rc2 artifact.md; zarf v0.25 packager/publish.go with oras-go v2.0 pack.go.
 */
export async function buildArtifactManifest(
  { definition, layers }: Pick<PackageContents, 'definition' | 'layers'>,
  { artifactType = ZARF_PACKAGE, subject }: ManifestRelations = {},
): Promise<RawManifest> {
  const annotations = annotationsOf(definition)
  annotations.set(ARTIFACT_CREATED, annotations.get(CREATED) ?? ZERO_TIME)
  await nextTurn()
  const encoded = Buffer.from(
    `{"mediaType":${encodeText(OCI_ARTIFACT_MANIFEST)},"artifactType":${encodeText(artifactType)},` +
      `"blobs":[${layers.map(encodeDescriptor).join(',')}],${encodeSubject(subject)}"annotations":${encodeMap(annotations)}}`,
  )
  await nextTurn()
  return rawManifest(OCI_ARTIFACT_MANIFEST, encoded)
}

function layerOf(file: PackageFile): Descriptor {
  return {
    mediaType: ZARF_LAYER,
    digest: file.digest,
    size: file.size,
    annotations: { [TITLE_ANNOTATION]: file.path },
  }
}

/** zarf leaves the order of equal digests open; by title it is always the same. */
function compareLayers(a: Descriptor, b: Descriptor): number {
  if (a.digest !== b.digest) return a.digest < b.digest ? -1 : 1
  const title = (layer: Descriptor): string => layer.annotations?.[TITLE_ANNOTATION] ?? ''
  return compareBytes(title(a), title(b))
}

/** In the order of image-spec's Go type. */
function encodeManifest(
  definition: DefinitionOutline,
  config: Descriptor,
  layers: readonly Descriptor[],
  { artifactType, subject }: ManifestRelations = {},
): string {
  const type = artifactType === undefined ? '' : `"artifactType":${encodeText(artifactType)},`
  return (
    `{"schemaVersion":2,"mediaType":${encodeText(OCI_MANIFEST)},${type}"config":${encodeDescriptor(config)},` +
    `"layers":[${layers.map(encodeDescriptor).join(',')}],${encodeSubject(subject)}` +
    `"annotations":${encodeMap(annotationsOf(definition))}}`
  )
}

function encodeSubject(subject: Descriptor | undefined): string {
  return subject === undefined ? '' : `"subject":${encodeDescriptor(subject)},`
}

function encodeDescriptor({ mediaType, digest, size, annotations }: Descriptor): string {
  const notes = annotations ? `,"annotations":${encodeMap(new Map(Object.entries(annotations)))}` : ''
  return `{"mediaType":${encodeText(mediaType)},"digest":${encodeText(digest)},"size":${size}${notes}}`
}

const OCI = 'org.opencontainers.image.'
const CREATED = `${OCI}created`
const ARTIFACT_CREATED = 'org.opencontainers.artifact.created'

/** The package's own annotations win over the fields, and the build time over all. */
function annotationsOf({ metadata = {}, build = {} }: DefinitionOutline): Map<string, string> {
  const { name = '', description = '' } = metadata
  const annotations = new Map([
    [TITLE_ANNOTATION, name],
    [`${OCI}description`, description],
  ])
  for (const field of ['url', 'authors', 'documentation', 'source', 'vendor'] as const) {
    const value = metadata[field]
    if (value) annotations.set(OCI + field, value)
  }
  for (const [key, value] of metadata.annotations ?? []) annotations.set(key, value)
  return annotations.set(CREATED, createdAt(build.timestamp ?? ''))
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const RFC1123Z =
  /^(?:mon|tue|wed|thu|fri|sat|sun), (\d\d) (\w{3}) (\d{4}) (\d{1,2}):(\d\d):(\d\d)(?:[.,]\d+)? ([+-]\d\d)(\d\d)$/i

/** Go's zero time stands for a build timestamp that is missing or does not parse. */
const ZERO_TIME = '0001-01-01T00:00:00Z'

/** The build timestamp in UTC. Source: go1.25 time.Parse with RFC1123Z, which does not compare the day of the week. */
function createdAt(timestamp: string): string {
  const [, day, month = '', year, hour, minute, second, zoneHours = '', zoneMinutes] = RFC1123Z.exec(timestamp) ?? []
  const monthIndex = MONTHS.indexOf(month.toLowerCase())
  const inRange =
    monthIndex !== -1 &&
    Number(hour) < 24 &&
    [minute, second, zoneMinutes].every((value) => Number(value) < 60) &&
    Math.abs(Number(zoneHours)) <= 24
  if (!inRange) return ZERO_TIME
  // setUTCFullYear, unlike Date.UTC, does not take the years 0 to 99 for 1900 to 1999.
  const time = new Date(0)
  time.setUTCFullYear(Number(year), monthIndex, Number(day))
  if (time.getUTCDate() !== Number(day)) return ZERO_TIME
  const offsetMinutes = Number(zoneHours) * 60 + Number(`${zoneHours.slice(0, 1)}${zoneMinutes}`)
  time.setUTCHours(Number(hour), Number(minute) - offsetMinutes, Number(second))
  return time.toISOString().replace('.000Z', 'Z')
}

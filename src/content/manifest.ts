import { type Static, type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'
import { AppError } from '../lib/errors.ts'
import { beyondBounds } from '../lib/loop/json-bounds.ts'
import type { Descriptor } from './descriptor.ts'
import { type Digest, digestOf, isDigest } from './digest.ts'
import { isIndexMediaType, OCI_ARTIFACT_MANIFEST, OCI_INDEX, OCI_MANIFEST, toldMediaType } from './media-types.ts'

/** Registries take and clients read at most this (oci-client.md M4). */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024
/** 20,000 layers, as many as 4 MiB can name, are 120,000 values. */
const BOUNDS = { values: 150_000, keys: 10_000, depth: 32 }

/** What a package is published as: `auto` means an artifact manifest where the registry takes one, else an image manifest. */
export const MANIFEST_KINDS = ['image', 'artifact', 'auto'] as const
export type ManifestKind = (typeof MANIFEST_KINDS)[number]

/** A manifest or index as its exact bytes: the digest is over these and they are never re-serialised. */
export interface RawManifest {
  readonly mediaType: string
  readonly bytes: Buffer
  readonly digest: Digest
}

export interface ImageManifest {
  readonly kind: 'manifest'
  readonly mediaType: string
  /** Absent only in the withdrawn artifact manifest. */
  readonly config: Descriptor | undefined
  readonly layers: readonly Descriptor[]
  readonly annotations: Readonly<Record<string, string>>
  readonly artifactType: string | undefined
  /** The manifest that this one refers to. */
  readonly subject: Descriptor | undefined
}

export interface ImageIndex {
  readonly kind: 'index'
  readonly mediaType: string
  readonly manifests: readonly Descriptor[]
  readonly annotations: Readonly<Record<string, string>> | undefined
}

/** Go's JSON writes null for what is nothing, and others leave it out: both are the same. */
const Nothing = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))
const Texts = Type.Record(Type.String(), Type.String())

const DescriptorShape = Type.Object({
  mediaType: Type.String(),
  digest: Type.String(),
  size: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  annotations: Nothing(Texts),
  artifactType: Nothing(Type.String()),
  platform: Nothing(Type.Object({ architecture: Nothing(Type.String()), os: Nothing(Type.String()) })),
})

const ManifestShape = Type.Object({
  schemaVersion: Nothing(Type.Literal(2)),
  mediaType: Nothing(Type.String()),
  artifactType: Nothing(Type.String()),
  config: Nothing(DescriptorShape),
  layers: Nothing(Type.Array(DescriptorShape)),
  blobs: Nothing(Type.Array(DescriptorShape)),
  manifests: Nothing(Type.Array(DescriptorShape)),
  subject: Nothing(DescriptorShape),
  annotations: Nothing(Texts),
})

export function rawManifest(mediaType: string, bytes: Buffer): RawManifest {
  return { mediaType, bytes, digest: digestOf(bytes) }
}

/**
 * Reads a manifest or an index. The body's mediaType must agree with the one it was served under; a body without one
 * (legal in OCI 1.0) is told by its shape. Throws MANIFEST_INVALID. Source: oci-client.md M2.
 */
export function parseManifest(raw: RawManifest, where: string): ImageManifest | ImageIndex {
  const body = parseBody(raw, where)
  const mediaType = mediaTypeOf(body, raw.mediaType, where)
  const annotations = body.annotations ?? undefined
  const descriptors = (entries: readonly Entry[] | null | undefined) =>
    (entries ?? []).map((entry) => descriptor(entry, where))
  if (isIndexMediaType(mediaType)) {
    return { kind: 'index', mediaType, manifests: descriptors(body.manifests), annotations }
  }
  return {
    kind: 'manifest',
    mediaType,
    config: body.config ? descriptor(body.config, where) : undefined,
    layers: descriptors(mediaType === OCI_ARTIFACT_MANIFEST ? body.blobs : body.layers),
    annotations: annotations ?? {},
    artifactType: body.artifactType || undefined,
    subject: body.subject ? descriptor(body.subject, where) : undefined,
  }
}

/** What must be there before the manifest: config and layers, or an index's manifests. */
export function successors(manifest: ImageManifest | ImageIndex): readonly Descriptor[] {
  if (manifest.kind === 'index') return manifest.manifests
  return manifest.config ? [manifest.config, ...manifest.layers] : manifest.layers
}

type Body = Static<typeof ManifestShape>
type Entry = Static<typeof DescriptorShape>

function parseBody(raw: RawManifest, where: string): Body {
  const body = parseJson(raw, where)
  if (manifestCheck.Check(body)) return body
  throw invalid(where, firstError(body))
}

/** Compiled: of 14,000 layers the library's own way takes half a second. */
const manifestCheck = Compile(ManifestShape)
const descriptorCheck = Compile(DescriptorShape)

/** The library finds all errors before it tells the first, so it is asked of one entry alone. */
function firstError(body: unknown): string {
  const lists = Object.entries(body ?? {}).filter(([, entries]) => Array.isArray(entries)) as [string, unknown[]][]
  for (const [name, entries] of lists) {
    const at = ENTRIES.has(name) ? entries.findIndex((entry) => !descriptorCheck.Check(entry)) : -1
    if (at !== -1) return told(`/${name}/${at}`, Value.Errors(DescriptorShape, entries[at])[0])
  }
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body)
  const rest = isObject ? { ...body, ...NO_ENTRIES } : body
  return told('', Value.Errors(ManifestShape, rest)[0])
}

const NO_ENTRIES = { layers: null, blobs: null, manifests: null }
const ENTRIES: ReadonlySet<string> = new Set(Object.keys(NO_ENTRIES))

function told(at: string, error: { instancePath: string; message: string } | undefined): string {
  return `${at}${error?.instancePath ?? ''} ${error?.message ?? 'has the wrong shape'}`.trim()
}

function mediaTypeOf(body: Body, servedAs: string, where: string): string {
  const served = servedAs.split(';')[0]?.trim() ?? ''
  const generic = served === '' || served === 'application/json' || served === 'application/octet-stream'
  if (!body.mediaType) {
    if (!generic) return served
    if (body.manifests) return OCI_INDEX
    return body.blobs && !body.layers ? OCI_ARTIFACT_MANIFEST : OCI_MANIFEST
  }
  if (!generic && body.mediaType !== served) {
    throw invalid(where, `it was served as ${toldMediaType(served)} and calls itself ${toldMediaType(body.mediaType)}`)
  }
  return body.mediaType
}

function parseJson(raw: RawManifest, where: string): unknown {
  if (raw.bytes.length > MAX_MANIFEST_BYTES) {
    throw new AppError(
      'MANIFEST_TOO_LARGE',
      `the manifest ${where} has ${raw.bytes.length} bytes, more than ${MAX_MANIFEST_BYTES}`,
    )
  }
  const why = beyondBounds(raw.bytes, BOUNDS)
  if (why !== undefined) throw new AppError('MANIFEST_TOO_LARGE', `the manifest ${where} ${why}`)
  try {
    return JSON.parse(raw.bytes.toString('utf8'))
  } catch {
    // The parser's message quotes its input.
    throw new AppError('MANIFEST_INVALID', `the manifest ${where} is not JSON`)
  }
}

function descriptor(entry: Entry, where: string): Descriptor {
  const digest = entry.digest
  if (!isDigest(digest)) throw invalid(where, `"${digest.slice(0, 160)}" is not a digest`)
  return {
    mediaType: entry.mediaType,
    digest,
    size: entry.size,
    ...(entry.annotations ? { annotations: entry.annotations } : {}),
    ...(entry.artifactType ? { artifactType: entry.artifactType } : {}),
    ...platformOf(entry.platform),
  }
}

/** An entry of another's index may say nothing of it, or `{}`. */
function platformOf(platform: Entry['platform']): Pick<Descriptor, 'platform'> {
  const { architecture, os } = platform ?? {}
  return architecture && os ? { platform: { architecture, os } } : {}
}

function invalid(where: string, why: string): AppError {
  return new AppError('MANIFEST_INVALID', `the manifest ${where} is not valid: ${why}`)
}

import type { Descriptor } from '../content/descriptor.ts'
import { digestOf } from '../content/digest.ts'
import { type RawManifest, rawManifest } from '../content/manifest.ts'
import { EMPTY_JSON, OCI_MANIFEST } from '../content/media-types.ts'
import { encodeMap, encodeText } from '../zarf/definition/go-json.ts'

/** What stands where an artifact has no config, or no layer. Source: OCI image-spec v1.1.1 "Guidance for an Empty Descriptor". */
export const EMPTY_BYTES = Buffer.from('{}')
export const EMPTY: Descriptor = { mediaType: EMPTY_JSON, digest: digestOf(EMPTY_BYTES), size: EMPTY_BYTES.length }

export interface PackedManifest {
  /** Its media type is left out of its body, as helm does. Default: it says it. */
  readonly untyped?: boolean
  readonly artifactType?: string | undefined
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly subject?: Descriptor | undefined
  readonly annotations: Readonly<Record<string, string>>
}

/** The bytes that oras and helm write for the same. Source: oras-go v2.6.2 pack.go, OCI image-spec v1.1.1 Go types. */
export function packManifest({
  untyped = false,
  artifactType,
  config,
  layers,
  subject,
  annotations,
}: PackedManifest): RawManifest {
  const members = [
    '"schemaVersion":2',
    ...(untyped ? [] : [`"mediaType":"${OCI_MANIFEST}"`]),
    ...(artifactType === undefined ? [] : [`"artifactType":${encodeText(artifactType)}`]),
    `"config":${packed(config)}`,
    `"layers":[${layers.map(packed).join(',')}]`,
    ...(subject ? [`"subject":${packed(subject)}`] : []),
    ...packedAnnotations(annotations),
  ]
  return rawManifest(OCI_MANIFEST, Buffer.from(`{${members.join(',')}}`))
}

function packed({ mediaType, digest, size, annotations = {} }: Descriptor): string {
  const members = [
    `"mediaType":${encodeText(mediaType)}`,
    `"digest":"${digest}"`,
    `"size":${size}`,
    ...packedAnnotations(annotations),
    ...(mediaType === EMPTY_JSON ? [`"data":"${EMPTY_BYTES.toString('base64')}"`] : []),
  ]
  return `{${members.join(',')}}`
}

function packedAnnotations(annotations: Readonly<Record<string, string>>): string[] {
  const entries = new Map(Object.entries(annotations))
  return entries.size === 0 ? [] : [`"annotations":${encodeMap(entries)}`]
}

import { distinct } from '../content/copy-graph.ts'
import { type Descriptor, descriptorTitle } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import { type ManifestKind, MAX_MANIFEST_BYTES } from '../content/manifest.ts'
import { AppError } from '../lib/errors.ts'
import type { PackageContents } from '../zarf/package.ts'
import type { EngineEvent, OnEvent } from './events.ts'

/** What is known of a package or a bundle once it may be published; `definition` of a package. */
export type Publishable = Pick<PackageContents, 'identity' | 'manifest' | 'config' | 'layers'> &
  Partial<Pick<PackageContents, 'definition' | 'files'>>

/**
 * Every blob a package needs at its destination, once each: its layers, then its config. An artifact manifest has none;
 * `auto` brings it whatever manifest the registry takes in the end, so that the plan holds either way.
 */
export function packageBlobs(contents: Pick<Publishable, 'layers' | 'config'>, kind: ManifestKind): Descriptor[] {
  return distinct(hasConfig(kind) ? [...contents.layers, contents.config.descriptor] : contents.layers)
}

export function hasConfig(kind: ManifestKind): boolean {
  return kind !== 'artifact'
}

export function totalBytes(blobs: readonly Descriptor[]): number {
  return blobs.reduce((sum, blob) => sum + blob.size, 0)
}

/** Shows one row for a blob. */
export function announce(descriptor: Descriptor, onEvent: OnEvent): void {
  onEvent({
    type: 'transfer',
    digest: descriptor.digest,
    title: descriptorTitle(descriptor) ?? 'config',
    mediaType: descriptor.mediaType,
    size: descriptor.size,
  })
}

/** Tells the whole plan: all rows, each once, then the sum. */
/** Beside what checksums.txt declares: zarf.yaml and checksums.txt itself. */
export const UNDECLARED = 2

/** Of a package of which nothing but that is known. */
export function outlineOf(declared: ReadonlyMap<string, Digest>): Extract<EngineEvent, { type: 'outline' }> {
  return { type: 'outline', layers: new Set(declared.values()).size + UNDECLARED }
}

/** What a pass over an archive tells as it reads. */
export function toldReads(
  { sourceBytes: bytesTotal }: { sourceBytes: number },
  onEvent: OnEvent,
): (bytesRead: number, contentEstimate?: number) => void {
  return (bytesRead, contentEstimate) => {
    onEvent({ type: 'source', bytesRead, bytesTotal, ...(contentEstimate === undefined ? {} : { contentEstimate }) })
  }
}

export function announceBlobs(blobs: readonly Descriptor[], onEvent: OnEvent): void {
  for (const blob of blobs) announce(blob, onEvent)
  onEvent({ type: 'plan', layers: blobs.length, bytes: totalBytes(blobs) })
}

/** Throws MANIFEST_TOO_LARGE for a manifest that no registry takes (about 14,000 layers). */
export function checkManifestSize(bytes: number, layers: number): void {
  if (bytes <= MAX_MANIFEST_BYTES) return
  throw new AppError(
    'MANIFEST_TOO_LARGE',
    `the package's ${layers} files make a manifest of at least ${bytes} bytes; registries take at most ${MAX_MANIFEST_BYTES}`,
    { details: { layers, bytes, limit: MAX_MANIFEST_BYTES }, hint: 'Split the package into several with fewer files.' },
  )
}

/** The least a manifest can have with these files: what is known before any size is. Constant text of one layer entry, its title and one digit. */
export function leastManifestBytes(declared: ReadonlyMap<string, Digest>): number {
  const layerText =
    '{"mediaType":"application/vnd.zarf.layer.v1.blob","digest":"","size":0,"annotations":{"org.opencontainers.image.title":""}},'
  let bytes = 0
  for (const [path, digest] of declared) bytes += layerText.length + Buffer.byteLength(path) + digest.length
  return bytes
}

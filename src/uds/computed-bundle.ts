import { createHash } from 'node:crypto'
import { type Descriptor, descriptorTitle } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import { OCI_INDEX } from '../content/media-types.ts'
import { type ArchiveEntry, type ArchiveSource, type ComputedArchive, computeTar } from '../zarf/computed-archive.ts'
import { encodeText } from '../zarf/definition/go-json.ts'
import { type Bundle, bundleFileName } from './contents/bundle.ts'
import { blobPath, INDEX_FILE, LAYOUT_BYTES, LAYOUT_FILE } from './layout/layout-path.ts'

/** Of the bytes' arrangement; as in zarf/computed-archive.ts. */
const LAYOUT_VERSION = 1

/** Small files of a package that uds looks at first. Source: uds v0.35 pkg/legacy/bundler/localbundle.go. */
const SMALL: ReadonlySet<string> = new Set(['zarf.yaml', 'zarf.yaml.sig', 'zarf.bundle.sig', 'checksums.txt'])

/**
 * Arranges a bundle as `uds create` does: an OCI layout whose index.json names the root manifest by the bundle's version;
 * what tells what the bundle is comes first, so that `uds inspect` may stop early. `there`: which of the blobs the bundle has.
 */
export function computeBundle(
  bundle: Bundle,
  { there, source }: { there: ReadonlySet<Digest>; source: ArchiveSource },
): ComputedArchive {
  const { raw, layers, packages, outline } = bundle
  const first = new Map<Digest, Descriptor>()
  const add = (blob: Descriptor | undefined): void => {
    if (blob && there.has(blob.digest) && !first.has(blob.digest)) first.set(blob.digest, blob)
  }
  for (const blob of [layers.config, layers.definition]) add(blob)
  for (const { manifest, layers: inner } of packages) {
    add(manifest)
    for (const layer of inner.layers) if (SMALL.has(descriptorTitle(layer) ?? '')) add(layer)
  }
  add(layers.signature)
  const rest = bundle.blobs.filter(({ digest }) => there.has(digest) && !first.has(digest) && digest !== raw.digest)
  const blobs = [...first.values(), ...rest.toSorted((a, b) => (a.digest < b.digest ? -1 : 1))]
  const entries: ArchiveEntry[] = [
    { path: LAYOUT_FILE, content: LAYOUT_BYTES },
    { path: INDEX_FILE, content: indexOf(bundle) },
    { path: blobPath(raw.digest), content: raw.bytes },
    ...blobs.map((blob) => ({ path: blobPath(blob.digest), content: blob })),
  ]
  const etag = `"${raw.digest}-bundle-${LAYOUT_VERSION}${selectionOf(bundle, there)}"`
  return computeTar({ fileName: bundleFileName(outline), entries, etag, source })
}

/** Two registries may hold more or less of one bundle. */
function selectionOf({ blobs }: Bundle, there: ReadonlySet<Digest>): string {
  const absent = blobs.flatMap(({ digest }) => (there.has(digest) ? [] : [digest])).toSorted()
  return absent.length === 0 ? '' : `-${createHash('sha256').update(absent.join('\n')).digest('hex').slice(0, 16)}`
}

function indexOf({ raw, outline }: Bundle): Buffer {
  const { mediaType, digest, bytes } = raw
  const name = encodeText(outline.version ?? '')
  return Buffer.from(
    `{"schemaVersion":2,"mediaType":"${OCI_INDEX}","manifests":[{"mediaType":${encodeText(mediaType)},"digest":"${digest}",` +
      `"size":${bytes.length},"annotations":{"org.opencontainers.image.ref.name":${name}}}]}`,
  )
}

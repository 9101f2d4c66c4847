import { distinct } from '../../content/copy-graph.ts'
import { type Descriptor, descriptorTitle, TITLE_ANNOTATION } from '../../content/descriptor.ts'
import type { RawManifest } from '../../content/manifest.ts'
import { isNotDistributed } from '../../content/media-types.ts'
import type { Repository } from '../../oci/registry.ts'
import { readBundle } from '../../uds/contents/bundle.ts'
import { isBundle } from '../../zarf/pulled-package.ts'
import { findBundleBlobs } from '../bundle/blobs.ts'
import type { OnEvent } from '../events.ts'
import type { PackageSource } from '../package-source.ts'
import { isManifest, type ManifestTree } from './tree.ts'

/** All blobs that these manifests need, each once, with titles to show them by. */
export async function blobsOf(
  tree: Pick<ManifestTree, 'all'>,
  options: { source: Repository; reader: PackageSource; onEvent: OnEvent; signal: AbortSignal },
): Promise<Descriptor[]> {
  const blobs: Descriptor[] = []
  let withheld = 0
  for (const { raw, parsed } of tree.all) {
    if (parsed.kind === 'index') {
      blobs.push(...parsed.manifests.filter((entry) => !isManifest(entry)).map((entry) => titled(entry, 'content')))
      continue
    }
    if (isBundle(parsed)) {
      blobs.push(...(await bundleBlobs(raw, options)))
      continue
    }
    const layers = parsed.layers.filter(({ mediaType }) => !isNotDistributed(mediaType))
    withheld += parsed.layers.length - layers.length
    blobs.push(...layers.map((layer) => titled(layer, 'layer')))
    if (parsed.config) blobs.push(titled(parsed.config, 'config'))
  }
  if (withheld > 0) {
    const message = `${withheld} layers may not be handed on (non-distributable): they are named in the copy, and not copied`
    options.onEvent({ type: 'log', level: 'warn', message })
  }
  return distinct(blobs)
}

/** Throws PACKAGE_INVALID for a blob that the bundle should have and has not. */
async function bundleBlobs(
  raw: RawManifest,
  { source, reader, onEvent, signal }: Parameters<typeof blobsOf>[1],
): Promise<readonly Descriptor[]> {
  const where = `the bundle ${raw.digest}`
  const read = (blob: Descriptor) => reader.read(blob)
  const bundle = await readBundle(raw, { read, where, signal })
  return await findBundleBlobs(bundle, { repository: source, read, where, onEvent, signal })
}

function titled(blob: Descriptor, name: string): Descriptor {
  if (descriptorTitle(blob) !== undefined) return blob
  return { ...blob, annotations: { ...blob.annotations, [TITLE_ANNOTATION]: name } }
}

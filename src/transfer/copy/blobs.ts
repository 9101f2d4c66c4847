import { distinct } from '../../content/copy-graph.ts'
import { type Descriptor, descriptorTitle, TITLE_ANNOTATION } from '../../content/descriptor.ts'
import { rawManifest, parseManifest } from '../../content/manifest.ts'
import { OCI_MANIFEST } from '../../content/media-types.ts'
import { forEachConcurrent } from '../../lib/concurrent.ts'
import { AppError } from '../../lib/errors.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { Repository } from '../../oci/registry.ts'
import { packageManifests } from '../../uds/bundle-manifest.ts'
import { isBundle } from '../../zarf/pulled-package.ts'
import type { OnEvent } from '../events.ts'
import type { PackageSource } from '../package-source.ts'
import { totalBytes } from '../plan.ts'
import { isManifest, type ManifestTree } from './tree.ts'

/** Layers that may not be handed on; who pulls an image gets them from elsewhere. Source: OCI image-spec v1.1.1 layer.md. */
const NOT_DISTRIBUTED = /nondistributable|rootfs\.foreign/

const LOOKED_FOR_AT_ONCE = 8
const MAX_PACKAGE_MANIFESTS_BYTES = 64 * 1024 * 1024

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
    const layers = parsed.layers.filter(({ mediaType }) => !NOT_DISTRIBUTED.test(mediaType))
    withheld += parsed.layers.length - layers.length
    blobs.push(...layers.map((layer) => titled(layer, 'layer')))
    if (parsed.config) blobs.push(titled(parsed.config, 'config'))
    if (isBundle(parsed)) blobs.push(...(await bundleBlobs(packageManifests(parsed, raw.digest), options)))
  }
  if (withheld > 0) {
    const message = `${withheld} layers may not be handed on (non-distributable): they are named in the copy, and not copied`
    options.onEvent({ type: 'log', level: 'warn', message })
  }
  return distinct(blobs)
}

/**
 * The blobs of a bundle's packages. Of optional components that the bundle leaves out they are not there, so each is looked
 * for. Source: zarf-packages.md 4.2.
 */
async function bundleBlobs(
  packages: readonly Descriptor[],
  { source, reader, onEvent, signal }: Parameters<typeof blobsOf>[1],
): Promise<Descriptor[]> {
  const named: Descriptor[] = []
  checkTogether(packages)
  for (const descriptor of packages) {
    await nextTurn()
    const raw = rawManifest(OCI_MANIFEST, await reader.read(descriptor))
    const parsed = parseManifest(raw, `of a package in the bundle (${raw.digest})`)
    if (parsed.kind === 'index') continue
    named.push(...parsed.layers.map((layer) => titled(layer, 'layer')))
    if (parsed.config) named.push(titled(parsed.config, 'config'))
  }
  const there: Descriptor[] = []
  const all = distinct(named)
  await forEachConcurrent(all, { limit: LOOKED_FOR_AT_ONCE, signal }, async (blob, stop) => {
    if (await source.exists(blob, { signal: stop })) there.push(blob)
  })
  if (there.length < all.length) {
    const message = `${all.length - there.length} files of the bundle's packages are not in it: components that it leaves out`
    onEvent({ type: 'log', level: 'info', message })
  }
  return there
}

/** They are read whole, and held until they are written. */
function checkTogether(packages: readonly Descriptor[]): void {
  const bytes = totalBytes(packages)
  if (bytes <= MAX_PACKAGE_MANIFESTS_BYTES) return
  throw new AppError(
    'MANIFEST_TOO_LARGE',
    `the manifests of the bundle's ${packages.length} packages have ${bytes} bytes, more than ${MAX_PACKAGE_MANIFESTS_BYTES}`,
    { side: 'source' },
  )
}

function titled(blob: Descriptor, name: string): Descriptor {
  if (descriptorTitle(blob) !== undefined) return blob
  return { ...blob, annotations: { ...blob.annotations, [TITLE_ANNOTATION]: name } }
}

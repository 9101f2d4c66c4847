import { dump } from 'js-yaml'
import { join } from 'node:path'
import { digestOf } from '../../../src/content/digest.ts'
import { readAll } from '../../../src/content/streams.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/content/media-types.ts'
import type { MemoryRegistry } from '../registries/memory-registry.ts'
import { openPackageAt } from './open-package.ts'
import { type ArchiveEntry, buildPackage, type PackageOptions, writeArchive } from './package-builder.ts'

const LAYER = 'application/vnd.zarf.layer.v1.blob'
const TITLE = 'org.opencontainers.image.title'
const { signal } = new AbortController()

export interface BundledOptions extends Omit<PackageOptions, 'format' | 'fileName'> {
  /** Further keys of its entry in uds-bundle.yaml; `path` makes it one from a file. */
  entry?: Record<string, unknown>
  /** Titles that the bundle has not. */
  without?: (title: string) => boolean
}

export interface BundleOptions {
  name?: string
  version?: string
  architecture?: string
  packages?: readonly BundledOptions[]
  /** uds-bundle.yaml.sig */
  signature?: Buffer
  /** Makes a bad bundle; each gets what was made. */
  tamper?: {
    definition?: (document: Record<string, unknown>) => unknown
    /** As text. */
    yaml?: (text: string) => string
    root?: (manifest: Record<string, unknown>) => unknown
    index?: (index: Record<string, unknown>) => unknown
    entries?: (entries: ArchiveEntry[]) => ArchiveEntry[]
  }
  fileName?: string
}

export interface BuiltBundle {
  path: string
  fileName: string
  /** Of the root manifest. */
  digest: string
  root: Buffer
  /** By digest, all that the bundle has but the root manifest. */
  blobs: ReadonlyMap<string, Buffer>
  /** By `package/title`, what the packages' manifests name. */
  titles: ReadonlyMap<string, string>
}

/** Writes a UDS bundle of synthetic packages into `folder`. Source of the format: zarf-packages.md 4.1, 4.2. */
export async function buildBundle(folder: string, options: BundleOptions = {}): Promise<BuiltBundle> {
  const { name = 'convoy', version = '1.0.0', architecture = 'amd64', packages = [{}], tamper = {} } = options
  const blobs = new Map<string, Buffer>()
  const titles = new Map<string, string>()
  const put = (bytes: Buffer) => {
    const digest = digestOf(bytes)
    blobs.set(digest, bytes)
    return { mediaType: LAYER, digest, size: bytes.length }
  }
  const layers: object[] = []
  const entries: object[] = []
  for (const [at, { entry = {}, without = () => false, ...one }] of packages.entries()) {
    const built = await buildPackage(join(folder, `packages-${at}`), {
      name: `ship-${at}`,
      seed: at + 1,
      ...one,
      format: 'tar',
    })
    await using opened = await openPackageAt(built.path, { signal })
    if (opened.kind !== 'indexed') throw new Error('a .tar is indexed')
    const { contents } = opened
    for (const layer of contents.layers) {
      const title = layer.annotations?.[TITLE] ?? ''
      titles.set(`${built.name}/${title}`, layer.digest)
      if (!without(title)) put(await readAll(await opened.open(layer, { signal })))
    }
    put(contents.config.bytes)
    layers.push(put(contents.manifest.bytes))
    const ref = `${one.version ?? '1.0.0'}@${contents.manifest.digest}`
    const place = 'path' in entry ? {} : { repository: `registry.example/team/${built.name}` }
    entries.push({ name: built.name, ...place, ref, ...entry })
  }
  const document = {
    kind: 'UDSBundle',
    metadata: { name, description: 'Made for tests', version, architecture },
    build: { terminal: 't', user: 'u', architecture, timestamp: 'Mon, 23 Nov 2026 22:37:10 +0000', version: 'v0.35.1' },
    packages: entries,
  }
  const text = dump(tamper.definition ? tamper.definition(document) : document)
  layers.push({
    ...put(Buffer.from(tamper.yaml ? tamper.yaml(text) : text)),
    annotations: { [TITLE]: 'uds-bundle.yaml' },
  })
  if (options.signature) layers.push({ ...put(options.signature), annotations: { [TITLE]: 'uds-bundle.yaml.sig' } })
  const config = put(Buffer.from(JSON.stringify({ architecture, ociVersion: '1.0.1', annotations: { [TITLE]: name } })))
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers, annotations: {} }
  const root = Buffer.from(JSON.stringify(tamper.root ? tamper.root(manifest) : manifest))
  const fileName = options.fileName ?? `uds-bundle-${name}-${architecture}-${version}.tar.zst`
  const path = join(folder, fileName)
  const digest = digestOf(root)
  const made = archiveEntries({ root, blobs, version, ...(tamper.index ? { index: tamper.index } : {}) })
  await writeArchive(path, tamper.entries ? tamper.entries(made) : made)
  return { path, fileName, digest, root, blobs, titles }
}

/** The small blobs first, as uds create has them. */
function archiveEntries({
  root,
  blobs,
  version,
  index = (given) => given,
}: {
  root: Buffer
  blobs: ReadonlyMap<string, Buffer>
  version: string
  index?: (index: Record<string, unknown>) => unknown
}): ArchiveEntry[] {
  const annotations = { 'org.opencontainers.image.ref.name': version }
  const entry = { mediaType: OCI_MANIFEST, digest: digestOf(root), size: root.length, annotations }
  const file = (name: string, content: string | Buffer): ArchiveEntry => ({ header: { name, mode: 0o644 }, content })
  const blob = (digest: string, content: Buffer) => file(`blobs/${digest.replace(':', '/')}`, content)
  return [
    file('oci-layout', '{"imageLayoutVersion":"1.0.0"}'),
    file('index.json', JSON.stringify(index({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] }))),
    blob(digestOf(root), root),
    ...[...blobs].toSorted(([, a], [, b]) => a.length - b.length).map(([digest, bytes]) => blob(digest, bytes)),
  ]
}

/** Puts a bundle into a registry as uds leaves it there. Returns the tag's index's digest. */
export function putBuiltBundle(
  registry: MemoryRegistry,
  { repository, tag, architecture = 'amd64' }: { repository: string; tag: string; architecture?: string },
  { root, blobs, digest }: BuiltBundle,
): string {
  for (const bytes of blobs.values()) registry.putBlob(repository, bytes)
  registry.manifests.put(repository, digest, OCI_MANIFEST, root)
  const entry = { mediaType: OCI_MANIFEST, digest, size: root.length, platform: { architecture, os: 'multi' } }
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] }))
  return registry.manifests.put(repository, tag, OCI_INDEX, index)
}

import type { Descriptor } from '../../../src/content/descriptor.ts'
import { digestOf } from '../../../src/content/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/content/media-types.ts'
import { parseReference } from '../../../src/content/reference.ts'
import { readAll } from '../../../src/content/streams.ts'
import type { RegistryClient } from '../../../src/oci/registry.ts'
import { type ContentStore, createContentStore } from '../../../src/store/content-store.ts'
import type { EngineEvent } from '../../../src/transfer/events.ts'
import { pull, type PullDependencies, type PullOutcome, type PullRequest } from '../../../src/transfer/pull/pull.ts'
import { type PackageContents } from '../../../src/zarf/package.ts'
import type { Cleanup } from '../cleanup.ts'
import { type PublishedName, publishedConfig, publishedIndex, publishedManifest } from './fixtures.ts'
import type { MemoryRegistry } from '../registries/memory-registry.ts'
import { openRepository } from '../registries/oci-client.ts'
import { tempDir } from '../temp-dir.ts'
import { openPackageAt } from './open-package.ts'

const { signal } = new AbortController()

export interface PullFromOptions extends Partial<Omit<PullRequest, 'reference'>> {
  store?: ContentStore
  /** Default: one without credentials, over plain HTTP. */
  client?: RegistryClient
  signal?: AbortSignal
  checkOwnership?: () => Promise<void>
  onEvent?: (event: EngineEvent) => void
  /** Default: as nobody in particular. */
  repository?: PullDependencies['repository']
}

/** Pulls as a worker would, without a queue. */
export async function pullFrom(
  t: Cleanup,
  reference: string,
  options: PullFromOptions = {},
): Promise<{ outcome: PullOutcome; store: ContentStore; events: EngineEvent[] }> {
  const { store: given, client, repository, signal: stop = signal, onEvent, ...rest } = options
  const { checkOwnership = async () => undefined, ...request } = rest
  const store = given ?? (await createContentStore({ folder: await tempDir(t, 'store') }))
  const events: EngineEvent[] = []
  const outcome = await pull(
    {
      reference: parseReference(reference),
      overwrite: false,
      concurrency: 6,
      ...request,
    },
    {
      repository:
        repository ??
        (async (registry, name) =>
          client ? await client.repository(registry, name) : await openRepository(t, registry, { repository: name })),
      store,
      checkOwnership,
      onEvent(event) {
        events.push(event)
        onEvent?.(event)
      },
      signal: stop,
    },
  )
  return { outcome, store, events }
}

/** Every file of an archive, read and hashed, and the contents that follow. */
export async function readPackage(path: string): Promise<{ files: Map<string, Buffer>; contents: PackageContents }> {
  await using opened = await openPackageAt(path, { signal })
  const files = new Map<string, Buffer>()
  if (opened.kind === 'indexed') {
    for (const layer of opened.contents.layers) {
      const title = layer.annotations?.['org.opencontainers.image.title'] ?? ''
      files.set(title, await readAll(await opened.open(layer, { signal })))
    }
    return { files, contents: opened.contents }
  }
  const entries = []
  await using pass = opened.pass({ signal })
  for await (const entry of pass) {
    entries.push(entry)
    files.set(entry.path, entry.bytes ?? (await readAll(entry.content())))
  }
  return { files, contents: await opened.conclude(entries) }
}

/** Puts what zarf published into a registry: its manifests and index byte for byte, blobs from the packages. */
export async function fillRegistry(
  registry: MemoryRegistry,
  target: { repository: string; tag: string },
  packages: ReadonlyArray<{ path: string; published: PublishedName; architecture?: string }>,
): Promise<void> {
  const { repository, tag } = target
  for (const { path, published, architecture } of packages) {
    for (const bytes of (await readPackage(path)).files.values()) registry.putBlob(repository, bytes)
    registry.putBlob(repository, publishedConfig(published, architecture))
    const manifest = publishedManifest(published, architecture)
    registry.manifests.put(repository, digestOf(manifest), OCI_MANIFEST, manifest)
    registry.manifests.put(repository, tag, OCI_INDEX, publishedIndex(published))
  }
}

export interface SyntheticLayer {
  title: string
  bytes: Buffer
  /** What the manifest says instead of the truth. */
  lie?: Partial<Pick<Descriptor, 'digest' | 'size'>>
}

/** Puts a package of any shape, right or wrong, under a tag, for amd64 alone. Returns its manifest's digest. */
export function putPackage(
  registry: MemoryRegistry,
  { repository, tag }: { repository: string; tag: string },
  layers: readonly SyntheticLayer[],
): string {
  const config = Buffer.from('{}')
  registry.putBlob(repository, config)
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: 'application/vnd.zarf.config.v1+json', digest: digestOf(config), size: config.length },
      layers: layers.map(({ title, bytes, lie }) => {
        registry.putBlob(repository, bytes)
        return {
          mediaType: 'application/vnd.zarf.layer.v1.blob',
          digest: digestOf(bytes),
          size: bytes.length,
          ...lie,
          annotations: { 'org.opencontainers.image.title': title },
        }
      }),
    }),
  )
  const digest = registry.manifests.put(repository, digestOf(manifest), OCI_MANIFEST, manifest)
  putIndex(registry, { repository, tag }, [{ digest, size: manifest.length, architecture: 'amd64' }])
  return digest
}

export function putIndex(
  registry: MemoryRegistry,
  { repository, tag }: { repository: string; tag: string },
  entries: ReadonlyArray<{ digest: string; size: number; architecture: string; os?: string }>,
): void {
  const manifests = entries.map(({ digest, size, architecture, os = 'multi' }) => ({
    mediaType: OCI_MANIFEST,
    digest,
    size,
    platform: { architecture, os },
  }))
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
  registry.manifests.put(repository, tag, OCI_INDEX, index)
}

/** The layers of a small valid package with these files in it. */
export function packageFiles(files: Record<string, Buffer>, definition = ''): SyntheticLayer[] {
  const lines = Object.entries(files).map(([path, bytes]) => `${digestOf(bytes).slice(7)} ${path}`)
  const checksums = Buffer.from(`${lines.toSorted().join('\n')}\n`)
  const yaml = [
    'kind: ZarfPackageConfig',
    'metadata:',
    '  name: sample',
    '  version: 1.0.0',
    '  architecture: amd64',
    `  aggregateChecksum: ${digestOf(checksums).slice(7)}`,
    'build:',
    '  architecture: amd64',
    '  timestamp: Tue, 02 Jan 2024 03:04:05 -0500',
    '  version: v0.84.0',
    definition || 'components:\n- name: one\n  required: true',
  ].join('\n')
  return [
    { title: 'checksums.txt', bytes: checksums },
    { title: 'zarf.yaml', bytes: Buffer.from(`${yaml}\n`) },
    ...Object.entries(files).map(([title, bytes]) => ({ title, bytes })),
  ]
}

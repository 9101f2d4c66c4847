import { execFileSync } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/content/media-types.ts'
import { parseDestination, parseReference } from '../../../src/content/reference.ts'
import type { RegistryClient } from '../../../src/oci/registry.ts'
import { copy, type CopyOutcome, type CopyRequest } from '../../../src/transfer/copy/copy.ts'
import type { EngineEvent } from '../../../src/transfer/events.ts'
import type { Cleanup } from '../cleanup.ts'
import type { MemoryRegistry } from '../registries/memory-registry.ts'
import { tempDir } from '../temp-dir.ts'
import { FIXTURES, publishedIndex } from './fixtures.ts'
import { registryClient } from './publishing.ts'

export interface CopyToOptions extends Partial<Omit<CopyRequest, 'source' | 'destination'>> {
  client?: RegistryClient
  signal?: AbortSignal
  checkOwnership?: () => Promise<void>
  onEvent?: (event: EngineEvent) => void
}

/** Copies as a worker would, without a queue and as the only writer. */
export async function copyTo(
  t: Cleanup,
  source: string,
  destination: string,
  options: CopyToOptions = {},
): Promise<{ outcome: CopyOutcome; events: EngineEvent[] }> {
  const { client = registryClient(t), signal = new AbortController().signal, ...rest } = options
  const { checkOwnership = async () => undefined, onEvent, ...request } = rest
  const events: EngineEvent[] = []
  const outcome = await copy(
    {
      concurrency: 6,
      ...request,
      source: parseReference(source),
      destination: parseDestination(destination),
    },
    {
      repository: (registry, name) => client.repository(registry, name),
      checkOwnership,
      lockTag: (_, task) => task(signal),
      onEvent(event) {
        events.push(event)
        onEvent?.(event)
      },
      signal,
    },
  )
  return { outcome, events }
}

/** Puts the bundle armada into a registry as uds left it there, its packages' blobs included. Returns all its blobs' digests. */
export async function putBundle(
  t: Cleanup,
  registry: MemoryRegistry,
  { repository, tag }: { repository: string; tag: string },
): Promise<string[]> {
  const folder = await tempDir(t, 'bundle')
  execFileSync('tar', ['--zstd', '-xf', FIXTURES.armadaBundle, '-C', folder])
  const layout = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8')) as { manifests: { digest: string }[] }
  const root = layout.manifests[0]?.digest ?? ''
  const digests: string[] = []
  for (const name of await readdir(join(folder, 'blobs/sha256'))) {
    const bytes = await readFile(join(folder, 'blobs/sha256', name))
    const digest = `sha256:${name}`
    if (digest === root) registry.manifests.put(repository, digest, OCI_MANIFEST, bytes)
    else digests.push(registry.putBlob(repository, bytes))
  }
  registry.manifests.put(repository, tag, OCI_INDEX, publishedIndex('armadaBundle'))
  return digests
}

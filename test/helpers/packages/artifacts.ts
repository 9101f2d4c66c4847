import { basename } from 'node:path'
import { openFiles } from '../../../src/artifact/files.ts'
import type { OpenedArtifact } from '../../../src/artifact/artifact.ts'
import { parseDestination, parseReference } from '../../../src/content/reference.ts'
import { openFolderTarget } from '../../../src/files/folder-target.ts'
import { openSource } from '../../../src/files/opened-file.ts'
import type { RegistryClient } from '../../../src/oci/registry.ts'
import { type ContentStore, createContentStore } from '../../../src/store/content-store.ts'
import type { EngineEvent } from '../../../src/transfer/events.ts'
import { publishArtifact, type PublishArtifactRequest } from '../../../src/transfer/publish/artifact.ts'
import { pullFiles, type PullFilesRequest } from '../../../src/transfer/pull/files.ts'
import type { Cleanup } from '../cleanup.ts'
import { openRepository } from '../registries/oci-client.ts'
import { tempDir } from '../temp-dir.ts'

const { signal } = new AbortController()

type Own = { client?: Pick<RegistryClient, 'repository'>; onEvent?: (event: EngineEvent) => void }

function dependenciesOf(t: Cleanup, { client, onEvent }: Own, events: EngineEvent[]) {
  return {
    repository: async (registry: string, repository: string) =>
      client ? await client.repository(registry, repository) : await openRepository(t, registry, { repository }),
    checkOwnership: async () => undefined,
    lockTag: <T>(_reference: string, task: (locked: AbortSignal) => Promise<T>) => task(signal),
    onEvent(event: EngineEvent) {
      events.push(event)
      onEvent?.(event)
    },
    signal,
  }
}

/** The files at these paths, by their names. */
export async function artifactOf(
  paths: readonly string[],
  options: Omit<Parameters<typeof openFiles>[0], 'files'> = {},
): Promise<OpenedArtifact> {
  const files = []
  for (const path of paths) {
    const source = await openSource(path)
    if (!('file' in source)) throw new Error(`${path} is no file`)
    files.push({ file: source.file, title: basename(path) })
  }
  return await openFiles({ files, ...options }, { signal, onRead: () => undefined })
}

/** Publishes as a worker would, without a queue, and closes the artifact. */
export async function publishArtifactTo(
  t: Cleanup,
  artifact: OpenedArtifact,
  destination: string,
  options: Own & Partial<Omit<PublishArtifactRequest, 'artifact' | 'destination'>> = {},
) {
  const { client: _client, onEvent: _onEvent, ...request } = options
  const events: EngineEvent[] = []
  await using opened = artifact
  const to = { artifact: opened, destination: parseDestination(destination), concurrency: 6, ...request }
  const outcome = await publishArtifact(to, dependenciesOf(t, options, events))
  return { outcome, events }
}

/** Pulls files as a worker would, into a folder that lies in its root, and tells what is left in the store. */
export async function pullFilesFrom(
  t: Cleanup,
  reference: string,
  options: Own & Partial<Omit<PullFilesRequest, 'reference' | 'folder'>> & { into?: string; store?: ContentStore } = {},
) {
  const { client: _client, onEvent: _onEvent, into, store: given, ...request } = options
  const root = into ?? (await tempDir(t, 'pulled'))
  const store = given ?? (await createContentStore({ folder: await tempDir(t, 'store') }))
  const events: EngineEvent[] = []
  await using folder = openFolderTarget({ path: root, roots: [root] }, store.room)
  const from = { reference: parseReference(reference), folder, overwrite: false, concurrency: 6, ...request }
  const outcome = await pullFiles(from, { ...dependenciesOf(t, options, events), store })
  return { outcome, events, root, store }
}

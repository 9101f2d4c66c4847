import type { Destination } from '../../../src/content/reference.ts'
import { createRegistryConnections } from '../../../src/oci/connections.ts'
import type { CredentialProvider } from '../../../src/oci/credentials/provider.ts'
import { createRegistryClient, type RegistryClient } from '../../../src/oci/registry.ts'
import type { EngineEvent } from '../../../src/transfer/events.ts'
import {
  planPublish,
  publish,
  type PublishDependencies,
  type PublishRequest,
} from '../../../src/transfer/publish/publish.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { openArchiveAt } from './open-package.ts'

const ANONYMOUS: CredentialProvider = { find: async () => undefined }

/** A registry client of one's own; its sockets close when the test ends. */
export function registryClient(t: Cleanup, credentials: CredentialProvider = ANONYMOUS): RegistryClient {
  const connections = createRegistryConnections({ version: 'test' })
  defer(t, async () => {
    await connections[Symbol.asyncDispose]()
  })
  const { signal } = new AbortController()
  return createRegistryClient({ connections, credentials, plainHttp: () => false, signal })
}

export interface PublishToOptions extends Partial<Omit<PublishRequest, 'package' | 'destination'>> {
  client?: Pick<RegistryClient, 'repository'>
  signal?: AbortSignal
  onEvent?: (event: EngineEvent) => void
}

const tagLocks = new Map<string, Promise<unknown>>()

/** Publishes as a worker would, without a queue: the only writer, within this process, of each tag. */
export function publishTo(t: Cleanup, path: string, destination: Destination, options: PublishToOptions = {}) {
  return workOn(t, { path, destination, options }, publish)
}

/** The same as a dry run. */
export function planPublishTo(t: Cleanup, path: string, destination: Destination, options: PublishToOptions = {}) {
  return workOn(t, { path, destination, options }, planPublish)
}

async function workOn<T>(
  t: Cleanup,
  what: { path: string; destination: Destination; options: PublishToOptions },
  work: (request: PublishRequest, dependencies: PublishDependencies) => Promise<T>,
): Promise<{ outcome: T; events: EngineEvent[] }> {
  const { path, destination, options } = what
  const { client = registryClient(t), signal = new AbortController().signal, onEvent, ...request } = options
  const events: EngineEvent[] = []
  await using opened = await openArchiveAt(path, signal)
  const outcome = await work(
    { scan: false, concurrency: 6, ...request, package: opened, destination },
    {
      repository: (registry, name) => client.repository(registry, name),
      checkOwnership: async () => undefined,
      lockTag(reference, task) {
        const turn = (tagLocks.get(reference) ?? Promise.resolve()).then(() => task(signal))
        tagLocks.set(
          reference,
          turn.catch(() => undefined),
        )
        return turn
      },
      onEvent(event) {
        events.push(event)
        onEvent?.(event)
      },
      signal,
    },
  )
  return { outcome, events }
}

import type { SessionNote, UploadKey, UploadSessionStore } from '../../../src/content/checkpoint.ts'
import type { Descriptor } from '../../../src/content/descriptor.ts'
import { digestOf } from '../../../src/content/digest.ts'
import type { BlobOpener, PushEvent } from '../../../src/content/endpoints.ts'
import { OCTET_STREAM } from '../../../src/content/media-types.ts'
import { type ConnectionsOptions, createRegistryConnections } from '../../../src/oci/connections.ts'
import type { RegistryCredential } from '../../../src/oci/credentials/provider.ts'
import {
  createRegistryClient,
  type RegistryClientOptions,
  type Repository,
  type RepositoryOptions,
} from '../../../src/oci/registry.ts'
import { type Cleanup, defer } from '../cleanup.ts'

export interface TestRepositoryOptions
  extends RepositoryOptions,
    Pick<ConnectionsOptions, 'timeouts' | 'proxy' | 'pace'>,
    Partial<Pick<RegistryClientOptions, 'plainHttp' | 'mayUse' | 'facts'>> {
  repository?: string
  credential?: RegistryCredential
}

const BRIEF = { baseMs: 10, maxMs: 20 }

/**
 * A repository of a registry on loopback over plain HTTP, or of one behind a proxy over TLS, with retries that don't make a
 * test wait.
 */
export async function openRepository(
  t: Cleanup,
  host: string,
  options: TestRepositoryOptions = {},
): Promise<Repository> {
  const { repository = 'test/blobs', credential, timeouts = {}, proxy, pace = BRIEF, ...rest } = options
  const { clock } = rest
  const entry = credential && { id: 'test', source: 'the test', given: credential, credential: async () => credential }
  const credentials = { find: async () => entry }
  const own = { ...(proxy ? { proxy } : {}), ...(clock ? { clock } : {}) }
  const connections = createRegistryConnections({ version: '0.0.0', timeouts, pace, ...own })
  defer(t, async () => connections[Symbol.asyncDispose]())
  const client = createRegistryClient({
    connections,
    credentials,
    plainHttp: () => proxy === undefined,
    signal: new AbortController().signal,
    retry: { attempts: 4, baseMs: 10, maxMs: 20, maxRetryAfterMs: 1000 },
    commitWaitMs: 5000,
    ...rest,
  })
  return client.repository(host, repository)
}

/** Bytes that look random and are the same in every run. */
export function someBytes(size: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4))
  let state = seed
  for (let at = 0; at < words.length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    words[at] = state
  }
  return Buffer.from(words.buffer, 0, size)
}

export interface TestBlob {
  readonly bytes: Buffer
  readonly descriptor: Descriptor
  readonly open: BlobOpener
  /** The offset of each opening. */
  readonly opened: number[]
}

/** A blob that is handed over in chunks of 64 KiB. */
export function testBlob(bytes: Buffer): TestBlob {
  const opened: number[] = []
  return {
    bytes,
    opened,
    descriptor: { mediaType: OCTET_STREAM, digest: digestOf(bytes), size: bytes.length },
    open: async ({ offset = 0 }) => {
      opened.push(offset)
      return chunks(bytes.subarray(offset))
    },
  }
}

async function* chunks(bytes: Buffer) {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}

/** Collects what a push tells. */
export function recorder(): { events: PushEvent[]; onEvent: (event: PushEvent) => void; starts(): number[] } {
  const events: PushEvent[] = []
  return {
    events,
    onEvent: (event) => void events.push(event),
    starts: () => events.flatMap((event) => (event.type === 'started' ? [event.offset] : [])),
  }
}

/**
 * Upload sessions that outlive a repository object, as Redis keeps them beyond a process. `replaced`: whether another run
 * of the job has begun.
 */
export function memorySessions(
  replaced = (): boolean => false,
): UploadSessionStore & { readonly saved: Map<string, unknown>; noted(): string[] } {
  const saved = new Map<string, Parameters<UploadSessionStore['save']>[1]>()
  const notes = new Map<SessionNote, string>()
  const places = new WeakMap<SessionNote, string>()
  const name = (key: UploadKey) => `${key.registry}/${key.repository}@${key.digest}`
  return {
    saved,
    noted: () => [...notes.values()],
    load: async (key) => saved.get(name(key)),
    async save(key, upload, note) {
      saved.set(name(key), upload)
      if (note) notes.delete(note)
    },
    async clear(key, note) {
      if (!replaced()) saved.delete(name(key))
      if (note && replaced()) notes.delete(note)
      else if (note) notes.set(note, places.get(note) ?? '')
    },
    opened(_, location) {
      const note: SessionNote = {
        left: (to) => void notes.set(note, to),
        moved(to) {
          places.set(note, to)
          if (notes.has(note)) notes.set(note, to)
        },
        closed: () => void notes.delete(note),
      }
      places.set(note, location)
      notes.set(note, location)
      return note
    },
    settle: async () => undefined,
  }
}

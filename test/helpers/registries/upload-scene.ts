import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { systemClock } from '../../../src/lib/clock.ts'
import { createLearnedFacts, type LearnedFacts } from '../../../src/oci/facts/learned-facts.ts'
import { registryProfile } from '../../../src/oci/facts/registry-profile.ts'
import { createRepository, type Repository } from '../../../src/oci/registry.ts'
import type { Cleanup } from '../cleanup.ts'
import { type memorySessions, recorder, someBytes, testBlob } from './oci-client.ts'
import { errorAnswer } from './kit/exchange.ts'
import { type FakeRegistry, type FakeRegistryOptions, startFakeRegistry } from './kit/fake-registry.ts'
import { BASE, override, type UploadWays } from './kit/ways.ts'
import { connect } from './transport.ts'

const MIB = 1024 * 1024
/** What blobs are made of. */
export const LARGE = someBytes(48 * MIB)
const REPOSITORY = 'test/blobs'
const signal = new AbortController().signal

export interface UploadRequest {
  readonly method: string
  readonly range: string | undefined
  readonly length: number | undefined
  /** Of the body, as far as it arrived. */
  readonly bytes: number
  readonly status: number | undefined
}

/** A registry of the kit as far as it takes uploads. */
export interface UploadRegistry {
  readonly host: string
  /** PATCH, PUT and status requests, in the order in which they began. */
  readonly requests: readonly UploadRequest[]
  readonly openSessions: number
  /** Of all bodies, as far as they arrived. */
  readonly bytes: number
  /** Sessions so far. */
  readonly opened: number
  /** Requests whose body is on its way. */
  readonly receiving: number
  blob(digest: string): Buffer | undefined
  /** Cuts the next PATCH or PUT that brings bytes when so many have arrived. */
  cutAfter(bytes: number): void
}

export interface UploadRegistryOptions extends Pick<FakeRegistryOptions, 'overlaps'> {
  /** What it says of itself in every answer. */
  readonly shows?: Record<string, string>
  /** It wants a log-in; HOST stands for its own. Its token service, at /token, gives one to anybody. */
  readonly challenge?: string
}

/** Takes uploads as distribution 3 does, but for what differs, and lets everybody in. */
export async function startUploadRegistry(
  t: Cleanup,
  ways: Partial<UploadWays> = {},
  { shows = {}, challenge, ...options }: UploadRegistryOptions = {},
): Promise<UploadRegistry> {
  const registry = await startFakeRegistry(t, {
    ...options,
    authorize: asking(challenge),
    ways: override(BASE, {
      headers: shows,
      auth: { kind: 'none' },
      // What is refused is answered while its bytes are still on their way.
      drains: false,
      uploads: {
        cut: 'bytes',
        gap: { status: 416, code: 'RANGE_INVALID', message: 'invalid content range' },
        commitRange: 'ignored',
        singlePost: false,
        mount: 'never',
        ...ways,
      },
    }),
  })
  return uploadsOf(registry)
}

/** Who shows anything is let in. */
function asking(challenge: string | undefined): NonNullable<FakeRegistryOptions['authorize']> {
  return ({ url, headers: { authorization, host = '' } }) => {
    if (url?.startsWith('/token')) return { status: 200, body: '{"token":"a-token"}' }
    if (challenge === undefined || authorization !== undefined) return undefined
    const headers = { 'www-authenticate': challenge.replaceAll('HOST', host) }
    return { ...errorAnswer(401, 'UNAUTHORIZED', 'who are you'), headers }
  }
}

function uploadsOf(registry: FakeRegistry): UploadRegistry {
  const requests = (): UploadRequest[] =>
    registry.requests
      .filter(({ method, path }) => method !== 'DELETE' && /\/blobs\/uploads?\/./.test(path))
      .map(({ method, headers, bodyBytes, status }) => {
        const { 'content-range': range, 'content-length': length } = headers
        return { method, range, length: length === undefined ? undefined : Number(length), bytes: bodyBytes, status }
      })
  return {
    host: registry.host,
    get requests() {
      return requests()
    },
    get openSessions() {
      return registry.sessions().length
    },
    get bytes() {
      return requests().reduce((sum, { bytes }) => sum + bytes, 0)
    },
    get opened() {
      return registry.uploads.opened
    },
    get receiving() {
      return registry.uploads.receiving
    },
    blob: (digest) => registry.blob(REPOSITORY, digest),
    cutAfter: (bytes) => void registry.fail({ withBody: true }, { kind: 'cut-request', afterBytes: bytes }),
  }
}

export interface Scene {
  registry: UploadRegistry
  repository: Repository
  learned: LearnedFacts
}

/** A repository of a registry with its own ways, and what was learnt of it. `as`: the registry is known under this name. */
export async function scene(
  t: TestContext,
  ways: Partial<UploadWays>,
  {
    as = 'registry.example.com',
    via,
    clock,
    sessions,
    registry: given,
  }: Partial<Record<'as' | 'via', string>> & {
    clock?: typeof systemClock
    sessions?: ReturnType<typeof memorySessions>
    registry?: UploadRegistry
  } = {},
): Promise<Scene> {
  const registry = given ?? (await startUploadRegistry(t, ways))
  const learned = createLearnedFacts()
  learned.anonymousMount = false
  const transport = connect(t).transport(via ?? registry.host, { credential: undefined, plainHttp: true })
  const repository = createRepository({
    transport,
    repository: REPOSITORY,
    learned,
    profile: registryProfile(as),
    retry: { attempts: 4, baseMs: 10, maxMs: 20, maxRetryAfterMs: 1000 },
    commitWaitMs: 1000,
    ...(clock ? { clock } : {}),
    ...(sessions ? { sessions } : {}),
  })
  return { registry, repository, learned }
}

/** As `scene`, of a registry that is known to keep of a cut what came before its request. */
export async function inParts(...[t, ways, options]: Parameters<typeof scene>): Promise<Scene> {
  const found = await scene(t, ways, options)
  found.learned.uploads.cutKeeps = 'parts'
  return found
}

/** Pushes the first so many bytes, and checks that the registry has them. */
export async function pushed({ registry, repository }: Scene, bytes: number) {
  const blob = testBlob(LARGE.subarray(0, bytes))
  const told = recorder()
  await repository.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
  await repository.releasePush()
  assert.deepEqual(registry.blob(blob.descriptor.digest), blob.bytes)
  assert.equal(registry.openSessions, 0)
  return { told, blob }
}

export const ranges = ({ requests }: Pick<UploadRegistry, 'requests'>) =>
  requests.map(({ method, range, status }) => `${method} ${range ?? '-'} ${status ?? 'cut'}`)
/** The last byte of so many MiB. */
export const end = (mib: number) => mib * MIB - 1

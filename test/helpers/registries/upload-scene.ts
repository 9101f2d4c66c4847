import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { systemClock } from '../../../src/lib/clock.ts'
import { createLearnedFacts, type LearnedFacts } from '../../../src/oci/facts/learned-facts.ts'
import { registryProfile } from '../../../src/oci/facts/registry-profile.ts'
import { createRepository, type Repository } from '../../../src/oci/registry.ts'
import { type memorySessions, recorder, someBytes, testBlob } from './oci-client.ts'
import { type QuirkyRegistry, startQuirkyRegistry, type UploadQuirks } from './quirky-registry.ts'
import { connect } from './transport.ts'

const MIB = 1024 * 1024
/** What blobs are made of. */
export const LARGE = someBytes(48 * MIB)
const signal = new AbortController().signal

export interface Scene {
  registry: QuirkyRegistry
  repository: Repository
  learned: LearnedFacts
}

/** A repository of a registry with its own ways, and what was learnt of it. `as`: the registry is known under this name. */
export async function scene(
  t: TestContext,
  quirks: UploadQuirks,
  {
    as = 'registry.example.com',
    via,
    clock,
    sessions,
    registry: given,
  }: Partial<Record<'as' | 'via', string>> & {
    clock?: typeof systemClock
    sessions?: ReturnType<typeof memorySessions>
    registry?: QuirkyRegistry
  } = {},
): Promise<Scene> {
  const registry = given ?? (await startQuirkyRegistry(t, quirks))
  const learned = createLearnedFacts()
  learned.anonymousMount = false
  const transport = connect(t).transport(via ?? registry.host, { credential: undefined, plainHttp: true })
  const repository = createRepository({
    transport,
    repository: 'test/blobs',
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
export async function inParts(...[t, quirks, options]: Parameters<typeof scene>): Promise<Scene> {
  const found = await scene(t, quirks, options)
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

export const ranges = ({ requests }: QuirkyRegistry) =>
  requests.map(({ method, range, status }) => `${method} ${range ?? '-'} ${status ?? 'cut'}`)
/** The last byte of so many MiB. */
export const end = (mib: number) => mib * MIB - 1

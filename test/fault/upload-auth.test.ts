import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { createLearnedFacts, type LearnedUploads } from '../../src/oci/facts/learned-facts.ts'
import { createRepository, type Repository } from '../../src/oci/registry.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { recorder, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { startTokenServer, type TokenServer } from '../helpers/registries/token-server.ts'
import { connect } from '../helpers/registries/transport.ts'

const MIB = 1024 * 1024
const ann = { kind: 'basic', username: 'ann', password: 'secret of ann' } as const
const { signal } = new AbortController()
/** Not on the border of a chunk. */
const SOMEWHERE = 11 * MIB + 1000

interface Scene {
  registry: MemoryRegistry
  tokens: TokenServer
  repository: Repository
}

/** A registry that keeps what a broken request brought, and lets in who has a token that was not revoked. */
async function setUp(t: TestContext, learnt: LearnedUploads = {}): Promise<Scene> {
  const tokens = await startTokenServer(t, { users: { ann: ann.password } })
  const challenge = { 'www-authenticate': `Bearer realm="${tokens.realm}",service="${tokens.service}"` }
  const registry = await startMemoryRegistry({
    authorize: ({ method, headers }) =>
      tokens.allows(headers.authorization, 'test/blobs', method === 'HEAD' ? 'pull' : 'push')
        ? undefined
        : { status: 401, headers: challenge },
  })
  t.after(() => registry.close())
  const learned = createLearnedFacts()
  Object.assign(learned.uploads, learnt)
  const repository = createRepository({
    transport: connect(t).transport(registry.host, { credential: ann, plainHttp: true }),
    repository: 'test/blobs',
    learned,
    retry: { attempts: 4, baseMs: 10, maxMs: 20, maxRetryAfterMs: 1000 },
  })
  return { registry, tokens, repository }
}

const patches = ({ requests }: MemoryRegistry) => requests.filter(({ method }) => method === 'PATCH')

for (const { name, parts, fault, from } of [
  {
    name: 'a gateway that looks again while the body is sent',
    fault: { kind: 'refuse-request', afterBytes: SOMEWHERE, status: 401 },
    from: SOMEWHERE,
  },
  {
    name: 'a token that has run out by the time of a cut',
    fault: { kind: 'cut-request', afterBytes: SOMEWHERE },
    from: SOMEWHERE,
  },
  { name: 'a token that is void before the next part', parts: true, fault: undefined, from: 8 * MIB },
] as const) {
  test(`upload.401-mid-body: ${name} costs a new token, and the upload goes on at the acknowledged offset`, async (t) => {
    const { registry, tokens, repository } = await setUp(t, parts ? { cutKeeps: 'parts' } : {})
    if (fault) registry.fail({ method: 'PATCH' }, fault)
    const blob = testBlob(someBytes(20 * MIB))
    const told = recorder()
    let revoked = false
    await repository.push(blob.descriptor, blob.open, {
      signal,
      onEvent(event) {
        told.onEvent(event)
        if (revoked || event.type !== 'bytes' || event.offset < 8 * MIB) return
        revoked = true
        tokens.revokeAll()
      },
    })
    assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
    assert.deepEqual(told.starts(), [0, from])
    assert.equal(tokens.requests.length, 2, 'one token for each that was void')
    assert.equal(registry.requests.filter(({ method, status }) => method === 'POST' && status === 202).length, 1)
  })
}

test('upload.401-mid-body: a second refusal at one offset is for good, though other requests are let in', async (t) => {
  const { registry, tokens, repository } = await setUp(t)
  registry.fail({ method: 'PATCH' }, { kind: 'refuse-request', afterBytes: SOMEWHERE, status: 401 })
  registry.fail({ method: 'PATCH', nth: 2, times: 9 }, { kind: 'answer', early: true, status: 401 })
  const blob = testBlob(someBytes(20 * MIB))
  const push = repository.push(blob.descriptor, blob.open, { signal })
  await assert.rejects(push, { code: 'REGISTRY_UNAUTHORIZED', retry: 'permanent' })
  assert.equal(patches(registry).length, 3)
  assert.ok(tokens.requests.length <= 4)
  await repository.releasePush()
  assert.equal(registry.openSessions, 0)
})

for (const { name, parts, between } of [
  { name: 'another failure', parts: false, between: [503] },
  { name: 'a part that was taken', parts: true, between: [undefined, 404] },
]) {
  test(`upload.401-mid-body: refusals at one offset with ${name} between them each cost a token`, async (t) => {
    const { registry, tokens, repository } = await setUp(t, parts ? { cutKeeps: 'parts' } : {})
    for (const [at, status] of [401, ...between, 401].entries()) {
      if (status) registry.fail({ method: 'PATCH', nth: at + 1 }, { kind: 'answer', early: true, status })
    }
    const blob = testBlob(someBytes(20 * MIB))
    const told = recorder()
    await repository.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
    assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
    const refused = patches(registry).filter(({ status }) => status === 401)
    const forPush = tokens.requests.filter(({ scopes }) => scopes.join().includes('push'))
    assert.deepEqual([refused.length, forPush.length], [2, 3])
    assert.deepEqual(new Set(told.starts()), new Set([0]))
  })
}

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { startTokenServer, type TokenServer, type TokenServerOptions } from '../helpers/registries/token-server.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()
const credential = { kind: 'basic', username: 'ann', password: 'secret of ann' } as const
const PULL = ['repository:test/blobs:pull']
const PUSH = ['repository:test/blobs:pull,push']

interface Access {
  name: string
  actions: string[]
}

/** What a token of the test's service gives. */
function accessOf(authorization: string | undefined): Access[] {
  const payload = authorization?.split('.')[1]
  if (payload === undefined) return []
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { access: Access[] }).access
}

/** `reads`: which tokens may read. Default: those that give `pull`. */
async function start(
  t: TestContext,
  reads = (access: readonly Access[], name: string) =>
    access.some((given) => given.name === name && given.actions.includes('pull')),
  options: TokenServerOptions = {},
): Promise<{ registry: MemoryRegistry; tokens: TokenServer }> {
  const tokens = await startTokenServer(t, { users: { ann: credential.password }, ...options })
  const headers = { 'www-authenticate': `Bearer realm="${tokens.realm}",service="${tokens.service}"` }
  const registry = await startMemoryRegistry({
    authorize({ method = '', url = '', headers: { authorization } }) {
      const name = /^\/v2\/(.+)\/(?:blobs|manifests)\//.exec(url)?.[1] ?? ''
      const isRead = method === 'GET' || method === 'HEAD'
      const isIn = isRead ? reads(accessOf(authorization), name) : tokens.allows(authorization, name, 'push')
      return isIn ? undefined : { status: 401, headers }
    },
  })
  t.after(() => registry.close())
  return { registry, tokens }
}

const asked = ({ requests }: TokenServer) => requests.map(({ scopes }) => scopes)

test('a publish asks for one token: who may push may pull', async (t) => {
  const { registry, tokens } = await start(t)
  const repository = await openRepository(t, registry.host, { credential })
  await repository.preparePush({ signal })
  const blob = testBlob(someBytes(2 * MIB))
  assert.equal(await repository.exists(blob.descriptor, { signal }), false)
  await repository.push(blob.descriptor, blob.open, { signal })
  assert.equal(await repository.exists(blob.descriptor, { signal }), true)
  assert.equal(await repository.getManifest('1.0.0', { signal }), undefined)
  assert.deepEqual(asked(tokens), [PUSH])
})

test('a token that gave less than was asked is not taken for reading: one for that is asked for', async (t) => {
  const isRefusing = { rights: (_user: unknown, _name: string, action: string) => action === 'pull' }
  const { registry, tokens } = await start(
    t,
    (access) => access.some(({ actions }) => actions.includes('pull')),
    isRefusing,
  )
  const repository = await openRepository(t, registry.host, { credential })
  await assert.rejects(repository.preparePush({ signal }), { code: 'REGISTRY_DENIED' })
  const { descriptor } = testBlob(someBytes(10))
  assert.equal(await repository.exists(descriptor, { signal }), false)
  assert.deepEqual(asked(tokens), [PUSH, PULL])
})

test('a registry that lets nobody read with a token for more gets one for that alone', async (t) => {
  const only = (access: readonly Access[]) => access[0]?.actions.join() === 'pull'
  const { registry, tokens } = await start(t, only)
  const repository = await openRepository(t, registry.host, { credential })
  await repository.preparePush({ signal })
  const { descriptor } = testBlob(someBytes(10))
  for (let round = 1; round <= 3; round += 1) assert.equal(await repository.exists(descriptor, { signal }), false)
  assert.deepEqual(asked(tokens), [PUSH, PULL])
  const refused = registry.requests.filter(({ method, status }) => method === 'HEAD' && status === 401)
  assert.equal(refused.length, 1)
})

test('the token of a mount serves for its destination', async (t) => {
  const { registry, tokens } = await start(t)
  const repository = await openRepository(t, registry.host, { credential })
  const blob = testBlob(someBytes(2 * MIB))
  registry.putBlob('test/other', blob.bytes)
  await repository.push(blob.descriptor, blob.open, { signal, mountFrom: [{ repository: 'test/other' }] })
  assert.equal(await repository.exists(blob.descriptor, { signal }), true)
  await repository.preparePush({ signal })
  const both = [...PUSH, 'repository:test/other:pull']
  assert.deepEqual(asked(tokens), [both])
})

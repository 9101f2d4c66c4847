import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { MountAnswer, MountCandidate } from '../../src/content/endpoints.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository, recorder, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { startTokenServer } from '../helpers/registries/token-server.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()
const credential = { kind: 'basic', username: 'ann', password: 'secret of ann' } as const

function candidates(...names: Array<string | undefined>): { mountFrom: MountCandidate[]; answers: MountAnswer[] } {
  const answers: MountAnswer[] = []
  const mountFrom = names.map((repository) => ({
    repository,
    answered: (answer: MountAnswer) => void answers.push(answer),
  }))
  return { mountFrom, answers }
}

function posts(registry: MemoryRegistry): string[] {
  const opened = registry.requests.filter(({ method }) => method === 'POST')
  return opened.map(
    ({ query, status }) => `${query.has('mount') ? `mount ${query.get('from') ?? 'any'}` : 'open'} ${status}`,
  )
}

/** A registry whose tokens come from a service that lets ann push everywhere and read all but test/secret. */
async function withTokens(t: TestContext, options: { mount?: boolean } = {}) {
  const tokens = await startTokenServer(t, {
    users: { ann: 'secret of ann' },
    rights: (user, repository) => user === 'ann' && repository !== 'test/secret',
  })
  const registry = await startMemoryRegistry({
    ...options,
    authorize(request) {
      const url = new URL(request.url ?? '', 'http://registry')
      const name = /^\/v2\/(.+)\/(?:blobs|manifests)\//.exec(url.pathname)?.[1] ?? ''
      const from = url.searchParams.get('from')
      const needs = [
        [name, request.method === 'GET' || request.method === 'HEAD' ? 'pull' : 'push'],
        [from ?? name, 'pull'],
      ]
      const { authorization } = request.headers
      if (needs.every(([repository = '', action = '']) => tokens.allows(authorization, repository, action)))
        return undefined
      const challenge = `Bearer realm="${tokens.realm}",service="${tokens.service}"`
      return { status: 401, headers: { 'www-authenticate': challenge }, body: '{"errors":[{"code":"UNAUTHORIZED"}]}' }
    },
  })
  t.after(() => registry.close())
  return { tokens, registry, repository: await openRepository(t, registry.host, { credential }) }
}

test('mount.needs-both-scopes, in one token, the destination first, and no byte is sent', async (t) => {
  const { tokens, registry, repository } = await withTokens(t)
  const blob = testBlob(someBytes(2 * MIB))
  registry.putBlob('test/other', blob.bytes)
  const { mountFrom, answers } = candidates('test/other')
  const told = recorder()
  await repository.push(blob.descriptor, blob.open, { signal, mountFrom, onEvent: told.onEvent })
  assert.deepEqual(
    tokens.requests.map(({ scopes }) => scopes),
    [['repository:test/blobs:pull,push', 'repository:test/other:pull']],
  )
  assert.deepEqual(answers, ['mounted'])
  assert.deepEqual(told.events, [{ type: 'mounted', from: 'test/other' }])
  assert.deepEqual(blob.opened, [])
  assert.equal(
    registry.requests.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0),
    0,
  )
})

test('mount.202-session-is-used: a refused mount costs no request', async (t) => {
  await using registry = await startMemoryRegistry({ mount: false })
  const repository = await openRepository(t, registry.host)
  const blob = testBlob(someBytes(9 * MIB))
  const { mountFrom, answers } = candidates('test/other')
  await repository.push(blob.descriptor, blob.open, { signal, mountFrom })
  assert.deepEqual(answers, ['refused'])
  assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
  assert.deepEqual(posts(registry), ['mount test/other 202'])
  assert.equal(registry.openSessions, 0)
})

test('sessions of several refused mounts are used or given up', async (t) => {
  await using registry = await startMemoryRegistry({ mount: false })
  const repository = await openRepository(t, registry.host)
  const blob = testBlob(someBytes(9 * MIB))
  await repository.push(blob.descriptor, blob.open, { signal, ...candidates('test/one', 'test/two', undefined) })
  await repository.releasePush()
  assert.deepEqual(posts(registry), ['mount test/one 202', 'mount test/two 202', 'mount any 202'])
  assert.equal(registry.openSessions, 0)
})

test('a repository that the caller may not read is told as denied, and the blob is sent', async (t) => {
  const { registry, repository } = await withTokens(t)
  const blob = testBlob(someBytes(2 * MIB))
  registry.putBlob('test/secret', blob.bytes)
  const { mountFrom, answers } = candidates('test/secret')
  await repository.push(blob.descriptor, blob.open, { signal, mountFrom })
  assert.deepEqual(answers, ['denied'])
  assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
})

test('a token service that gives no token for two repositories is asked for one alone', async (t) => {
  const { tokens, registry, repository } = await withTokens(t)
  const blob = testBlob(someBytes(2 * MIB))
  const { mountFrom, answers } = candidates('test/other')
  tokens.answerNext(403, '{"errors":[{"code":"DENIED"}]}')
  await repository.push(blob.descriptor, blob.open, { signal, mountFrom })
  assert.deepEqual(answers, ['denied'])
  assert.deepEqual(tokens.requests.at(-1)?.scopes, ['repository:test/blobs:pull,push'])
  assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
})

for (const status of [400, 403, 404, 405, 500, 501]) {
  test(`a registry that answers ${status} to a mount from anywhere is asked for one only once`, async (t) => {
    await using registry = await startMemoryRegistry()
    registry.fail(
      { method: 'POST', path: /mount=/ },
      { kind: 'answer', status, body: '{"errors":[{"code":"UNSUPPORTED"}]}' },
    )
    const repository = await openRepository(t, registry.host)
    for (const seed of [1, 2]) {
      const blob = testBlob(someBytes(2 * MIB, seed))
      await repository.push(blob.descriptor, blob.open, { signal, ...candidates(undefined) })
      assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
    }
    assert.deepEqual(posts(registry), [`mount any ${status}`, 'open 202', 'open 202'])
  })
}

test('a mount that the registry answers with another blob does not count', async (t) => {
  await using registry = await startMemoryRegistry()
  const blob = testBlob(someBytes(2 * MIB))
  const headers = { 'docker-content-digest': testBlob(someBytes(5)).descriptor.digest }
  registry.fail({ method: 'POST', path: /mount=/ }, { kind: 'answer', status: 201, headers })
  const repository = await openRepository(t, registry.host)
  const { mountFrom, answers } = candidates('test/other')
  await repository.push(blob.descriptor, blob.open, { signal, mountFrom })
  assert.deepEqual(answers, ['refused'])
  assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
})

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { AppError } from '../../src/lib/errors.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { memorySessions, openRepository, recorder, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { type ScriptEntry, startScriptedRegistry } from '../helpers/registries/scripted-registry.ts'

const MIB = 1024 * 1024
const signal = new AbortController().signal
const UPLOADS = '/v2/test/blobs/blobs/uploads/'

/** A registry that opens sessions at `location` and answers as the lines say. */
const scripted = (t: TestContext, lines: ScriptEntry[], location = '/u/1?s=0') =>
  startScriptedRegistry(t, [{ method: 'POST', path: UPLOADS, status: 202, answerHeaders: { location } }, ...lines])
const blobPath = (digest: string) => `/v2/test/blobs/blobs/${digest}`
const putPath = (location: string, digest: string) => `${location}&digest=${encodeURIComponent(digest)}`

test('location.relative: sessions at relative addresses work', async (t) => {
  await using registry = await startMemoryRegistry({ locations: 'relative' })
  const repository = await openRepository(t, registry.host)
  const blob = testBlob(someBytes(9 * MIB))
  await repository.push(blob.descriptor, blob.open, { signal })
  assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
})

test('upload.old-location-is-dead: each request goes to the newest Location', async (t) => {
  const blob = testBlob(someBytes(9 * MIB))
  const { digest } = blob.descriptor
  const registry = await scripted(t, [
    {
      method: 'PATCH',
      path: '/u/1?s=0',
      status: 202,
      answerHeaders: { location: '/u/1?s=9', range: `0-${9 * MIB - 1}` },
    },
    { method: 'PUT', path: putPath('/u/1?s=9', digest), headers: { 'content-length': '0' }, status: 201 },
  ])
  const repository = await openRepository(t, registry.host)
  await repository.push(blob.descriptor, blob.open, { signal })
  registry.check()
  assert.deepEqual(registry.requests.find(({ method }) => method === 'PATCH')?.body, blob.bytes)
})

test('upload.201-on-patch and upload.range-stuck: a Range that no status confirms is not believed (ECR)', async (t) => {
  const blob = testBlob(someBytes(9 * MIB))
  const registry = await scripted(t, [
    { method: 'PATCH', path: '/u/1?s=0', status: 201, answerHeaders: { location: '/u/1?s=1', range: '0-10' } },
    { method: 'GET', path: '/u/1?s=1', status: 404 },
    { method: 'PUT', path: putPath('/u/1?s=1', blob.descriptor.digest), status: 201 },
  ])
  const repository = await openRepository(t, registry.host)
  await repository.push(blob.descriptor, blob.open, { signal })
  registry.check()
})

test('a Range that a status confirms is where the upload goes on', async (t) => {
  const blob = testBlob(someBytes(9 * MIB))
  const kept = 8 * MIB
  const range = `0-${kept - 1}`
  const registry = await scripted(t, [
    { method: 'PATCH', path: '/u/1?s=0', status: 202, answerHeaders: { location: '/u/1?s=1', range } },
    { method: 'GET', path: '/u/1?s=1', status: 204, answerHeaders: { location: '/u/1?s=2', range } },
    { method: 'PATCH', path: '/u/1?s=2', status: 202, answerHeaders: { location: '/u/1?s=3' } },
    { method: 'PUT', path: putPath('/u/1?s=3', blob.descriptor.digest), status: 201 },
  ])
  const repository = await openRepository(t, registry.host)
  const told = recorder()
  await repository.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
  registry.check()
  assert.deepEqual(told.starts(), [0, kept])
  assert.deepEqual(registry.requests.findLast(({ method }) => method === 'PATCH')?.body, blob.bytes.subarray(kept))
})

test('upload.put-timeout.then-head-200: a proxy that gave up is not believed before the blob was looked for', async (t) => {
  const blob = testBlob(someBytes(9 * MIB))
  const { digest } = blob.descriptor
  const registry = await scripted(t, [
    { method: 'PATCH', path: '/u/1?s=0', status: 202, answerHeaders: { location: '/u/1?s=1' } },
    { method: 'PUT', path: putPath('/u/1?s=1', digest), status: 504, body: '<html>gateway</html>' },
    { method: 'HEAD', path: blobPath(digest), status: 404, setState: 'looked once' },
    { method: 'HEAD', path: blobPath(digest), state: 'looked once', status: 200 },
  ])
  const repository = await openRepository(t, registry.host)
  const told = recorder()
  await repository.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
  registry.check()
  assert.ok(told.events.some((event) => event.type === 'retrying' && event.error.upstream?.status === 504))
})

test('a success code that is not 201 is believed when the blob is there', async (t) => {
  const blob = testBlob(someBytes(9 * MIB))
  const { digest } = blob.descriptor
  const registry = await scripted(t, [
    { method: 'PATCH', path: '/u/1?s=0', status: 204, answerHeaders: { location: '/u/1?s=1' } },
    { method: 'PUT', path: putPath('/u/1?s=1', digest), status: 202 },
    { method: 'HEAD', path: blobPath(digest), status: 200, answerHeaders: { 'content-length': '5' } },
  ])
  const repository = await openRepository(t, registry.host)
  await repository.push(blob.descriptor, blob.open, { signal })
  registry.check()
})

test('an upload that moves to another origin takes no credentials along', async (t) => {
  const blob = testBlob(someBytes(9 * MIB))
  const storage = await startScriptedRegistry(t, [
    { method: 'PATCH', path: '/s/1?k=1', headers: { authorization: undefined }, status: 202 },
    {
      method: 'PUT',
      path: putPath('/s/1?k=1', blob.descriptor.digest),
      headers: { authorization: undefined },
      status: 201,
    },
  ])
  const challenge = { 'www-authenticate': 'Basic realm="registry"' }
  const registry = await startScriptedRegistry(t, [
    { method: 'GET', path: '/v2/', headers: { authorization: /^Basic / }, repeat: true },
    { method: 'GET', path: '/v2/', status: 401, answerHeaders: challenge, repeat: true },
    {
      method: 'POST',
      path: UPLOADS,
      headers: { authorization: /^Basic / },
      status: 202,
      answerHeaders: { location: `${storage.url}/s/1?k=1` },
    },
    { method: 'POST', path: UPLOADS, status: 401, answerHeaders: challenge, repeat: true },
  ])
  const repository = await openRepository(t, registry.host, {
    credential: { kind: 'basic', username: 'myuser', password: 'mypass' },
  })
  await repository.push(blob.descriptor, blob.open, { signal })
  storage.check()
})

test('upload.token-expires-between-patch-and-put: the commit goes out with a new token', async (t) => {
  const tokens = ['t1', 't2', 't3'].map(
    (token): ScriptEntry => ({
      method: 'GET',
      path: /^\/token/,
      body: JSON.stringify({ token, expires_in: 3600 }),
    }),
  )
  const issuer = await startScriptedRegistry(t, tokens)
  let committing = false
  await using registry = await startMemoryRegistry({
    authorize: ({ headers, method }) => {
      committing ||= method === 'PUT'
      const token = headers.authorization?.replace('Bearer ', '')
      if (token === 't2' || (token === 't1' && !committing)) return undefined
      const challenge = `Bearer realm="${issuer.url}/token",service="test",scope="repository:test/blobs:pull,push"`
      return { status: 401, headers: { 'www-authenticate': challenge } }
    },
  })
  const repository = await openRepository(t, registry.host)
  const blob = testBlob(someBytes(9 * MIB))
  const told = recorder()
  await repository.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
  assert.deepEqual(told.starts(), [0])
  assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
  assert.equal(issuer.requests.length, 2)
})

test('a small blob goes in one request where the registry takes it', async (t) => {
  await using registry = await startMemoryRegistry({ singlePost: true })
  const repository = await openRepository(t, registry.host)
  for (const seed of [1, 2]) {
    const blob = testBlob(someBytes(4000, seed))
    await repository.push(blob.descriptor, blob.open, { signal })
    assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
  }
  assert.deepEqual(uploads(registry.requests), ['POST', 'POST'])
})

test('a registry that does not take it is asked once, and the session it opened is used', async (t) => {
  await using registry = await startMemoryRegistry({ singlePost: false })
  const repository = await openRepository(t, registry.host)
  for (const seed of [1, 2]) {
    const blob = testBlob(someBytes(4000, seed))
    await repository.push(blob.descriptor, blob.open, { signal })
    assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
    assert.equal(blob.opened.length, 1)
  }
  assert.deepEqual(uploads(registry.requests), ['POST', 'PUT', 'POST', 'PUT'])
  assert.equal(registry.requests.filter(({ query }) => query.has('digest') && query.size === 1).length, 1)
  assert.equal(registry.openSessions, 0)
})

test('what was opened to prove the right to push is used, or given up', async (t) => {
  await using registry = await startMemoryRegistry()
  const repository = await openRepository(t, registry.host)
  await repository.preparePush({ signal })
  assert.equal(registry.openSessions, 1)
  const blob = testBlob(someBytes(MIB))
  await repository.push(blob.descriptor, blob.open, { signal })
  assert.deepEqual(uploads(registry.requests), ['POST', 'PUT'])
  await repository.preparePush({ signal })
  await repository.releasePush()
  assert.equal(registry.openSessions, 0)
})

test('a repository that has to be made first, and one that may not be pushed to, fail before a byte moves', async (t) => {
  await using registry = await startMemoryRegistry()
  const repository = await openRepository(t, registry.host)
  const path = /blobs\/uploads/
  const unknown = '{"errors":[{"code":"NAME_UNKNOWN","message":"The repository does not exist in the registry"}]}'
  registry.fail({ method: 'POST', path }, { kind: 'answer', status: 404, body: unknown })
  await assert.rejects(repository.preparePush({ signal }), { code: 'REGISTRY_NAME_UNKNOWN' })
  registry.fail({ method: 'POST', path }, { kind: 'answer', status: 403, body: '{"errors":[{"code":"DENIED"}]}' })
  await assert.rejects(repository.preparePush({ signal }), { code: 'REGISTRY_DENIED' })
})

test('odd answers to HEAD mean that the blob is pushed', async (t) => {
  await using registry = await startMemoryRegistry()
  const repository = await openRepository(t, registry.host)
  const { descriptor } = testBlob(someBytes(10))
  for (const status of [400, 405, 501]) {
    registry.fail({ method: 'HEAD' }, { kind: 'answer', status })
    assert.equal(await repository.exists(descriptor, { signal }), false, `after ${status}`)
  }
})

test('a blob of another size under the right digest is damage, and said so', async (t) => {
  await using registry = await startMemoryRegistry()
  const { descriptor } = testBlob(someBytes(10))
  registry.putBlob('test/blobs', someBytes(9), descriptor.digest)
  const repository = await openRepository(t, registry.host)
  await assert.rejects(repository.exists(descriptor, { signal }), { code: 'SIZE_MISMATCH' })
})

test('a web page in place of an answer is no blob', async (t) => {
  const registry = await startScriptedRegistry(t, [
    { method: 'GET', path: '/v2/', answerHeaders: { 'content-type': 'text/html' }, repeat: true },
    { method: 'HEAD', path: /blobs/, answerHeaders: { 'content-type': 'text/html' } },
  ])
  const repository = await openRepository(t, registry.host)
  const { descriptor } = testBlob(someBytes(10))
  await assert.rejects(repository.exists(descriptor, { signal }), { code: 'REGISTRY_PROTOCOL_VIOLATION' })
})

test('a session is kept for the next run after a passing fault, and given up after a lasting one', async (t) => {
  await using registry = await startMemoryRegistry()
  const sessions = memorySessions()
  const blob = testBlob(someBytes(9 * MIB))
  const repository = await openRepository(t, registry.host, { sessions })
  registry.fail({ method: 'PATCH', times: 4 }, { kind: 'cut-request', afterBytes: 100_000 })
  await assert.rejects(repository.push(blob.descriptor, blob.open, { signal }), { code: 'REGISTRY_CONNECTION_LOST' })
  assert.equal(sessions.saved.size, 1)
  assert.equal(registry.openSessions, 1)
  const broken = async () => {
    throw new AppError('PACKAGE_CHANGED', 'the package changed')
  }
  await assert.rejects(repository.push(blob.descriptor, broken, { signal }), { code: 'PACKAGE_CHANGED' })
  await repository.releasePush()
  assert.equal(sessions.saved.size, 0)
  assert.equal(registry.openSessions, 0)
})

test('a session of a blob that turns out to be there is forgotten', async (t) => {
  await using registry = await startMemoryRegistry()
  const sessions = memorySessions()
  const blob = testBlob(someBytes(9 * MIB))
  const repository = await openRepository(t, registry.host, { sessions })
  registry.fail({ method: 'PATCH', times: 4 }, { kind: 'cut-request', afterBytes: 100_000 })
  await assert.rejects(repository.push(blob.descriptor, blob.open, { signal }), { code: 'REGISTRY_CONNECTION_LOST' })
  assert.equal(sessions.saved.size, 1)
  assert.equal(await repository.exists(blob.descriptor, { signal }), false)
  assert.equal(sessions.saved.size, 1)
  registry.putBlob('test/blobs', blob.bytes)
  const kept = new Map(sessions.saved)
  assert.equal(await repository.exists(blob.descriptor, { signal }), true)
  assert.equal(sessions.saved.size, 0)
  for (const [key, upload] of kept) sessions.saved.set(key, upload)
  assert.deepEqual(await repository.stat(blob.descriptor.digest, { signal }), { size: blob.bytes.length })
  assert.equal(sessions.saved.size, 0)
})

test('an earlier process has brought all bytes: the push goes on from there and only commits', async (t) => {
  await using registry = await startMemoryRegistry()
  const sessions = memorySessions()
  const blob = testBlob(someBytes(9 * MIB))
  const dying = new AbortController()
  const first = await openRepository(t, registry.host, { sessions })
  const cut = first.push(blob.descriptor, blob.open, {
    signal: dying.signal,
    onEvent: ({ type }) => type === 'verifying' && dying.abort(new AppError('SHUTTING_DOWN', 'the process ends')),
  })
  await assert.rejects(cut, { code: 'SHUTTING_DOWN' })
  const told = recorder()
  const second = await openRepository(t, registry.host, { sessions })
  await second.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
  assert.deepEqual(told.starts(), [9 * MIB])
  assert.deepEqual(blob.opened, [0])
  assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
})

function uploads(requests: readonly { method: string; path: string }[]): string[] {
  return requests.filter(({ path }) => path.includes('/blobs/uploads/')).map(({ method }) => method)
}

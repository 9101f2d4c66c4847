import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { AppError } from '../../src/lib/errors.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { memorySessions, openRepository, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const UPLOADS = /\/blobs\/uploads\//
const { signal } = new AbortController()
const large = testBlob(someBytes(9 * MIB))
/** To every try, without a wait. */
const OUT_OF_ORDER = { kind: 'answer', status: 503, headers: { 'retry-after': '0' } } as const

/** A registry that can't be told to give a session up, and a repository that keeps its sessions. */
async function setUp(t: TestContext) {
  const registry = await startMemoryRegistry({ sessions: 'dist3' })
  t.after(() => registry.close())
  registry.fail({ method: 'DELETE', times: 99 }, OUT_OF_ORDER)
  let fenced = false
  const sessions = memorySessions(() => fenced)
  const repository = await openRepository(t, registry.host, {
    sessions,
    mayUse() {
      if (fenced) throw new AppError('JOB_FENCED', 'no longer ours')
    },
  })
  const key = { registry: registry.host, repository: 'test/blobs', digest: large.descriptor.digest }
  return { registry, sessions, repository, key, fence: () => void (fenced = true) }
}

test('the session of a large blob that is given up and whose DELETE fails is noted where it stands', async (t) => {
  const { registry, sessions, repository } = await setUp(t)
  registry.fail({ method: 'PUT' }, { kind: 'answer', status: 403 })
  await assert.rejects(repository.push(large.descriptor, large.open, { signal }), { code: 'REGISTRY_DENIED' })
  await repository.releasePush()
  assert.equal(registry.openSessions, 1)
  assert.equal(sessions.saved.size, 0)
  const [location = '', ...more] = sessions.noted()
  assert.deepEqual(more, [])
  const committed = registry.requests.find(({ method }) => method === 'PUT')
  assert.equal(new URL(location).pathname, committed?.path)
})

test('so is one that an earlier process saved of a blob that is there', async (t) => {
  const { registry, sessions, repository, key } = await setUp(t)
  registry.putBlob('test/blobs', large.bytes)
  const location = `http://${registry.host}/v2/test/blobs/blobs/uploads/left`
  await sessions.save(key, { location, offset: MIB, size: large.bytes.length, startedAt: 1 })
  assert.ok(await repository.exists(large.descriptor, { signal }))
  await repository.releasePush()
  assert.equal(sessions.saved.size, 0)
  assert.deepEqual(sessions.noted(), [location])
})

test('a run that may send nothing any more does not note what it had saved: its heir may go on with that', async (t) => {
  const { registry, sessions, repository, fence } = await setUp(t)
  const gate = Promise.withResolvers<void>()
  t.after(() => gate.resolve())
  registry.fail({ method: 'PATCH' }, { kind: 'cut-request', afterBytes: 0 })
  registry.fail({ method: 'GET', path: UPLOADS }, { kind: 'hold', until: gate.promise })
  const push = repository.push(large.descriptor, large.open, { signal })
  await waitFor('the question where it stands', () =>
    registry.requests.some(({ method, path }) => method === 'GET' && UPLOADS.test(path)),
  )
  fence()
  // "0-0", which may mean none or one: it can't be gone on with.
  gate.resolve()
  await assert.rejects(push, { code: 'JOB_FENCED' })
  await repository.releasePush()
  assert.equal(registry.openSessions, 1)
  assert.equal(sessions.saved.size, 1)
  assert.deepEqual(sessions.noted(), [])
})

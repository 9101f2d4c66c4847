import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { copyBlobs } from '../../src/content/copy-graph.ts'
import type { Answer } from '../helpers/registries/kit/exchange.ts'
import {
  type MemoryRegistry,
  type MemoryRegistryOptions,
  startMemoryRegistry,
} from '../helpers/registries/memory-registry.ts'
import { openRepository, someBytes, type TestBlob, testBlob } from '../helpers/registries/oci-client.ts'

const { signal } = new AbortController()
/** As many as it takes before a registry is asked whether it mounts from the repository itself. */
const FIRST = 16

function smallBlobs(count: number, from = 0): TestBlob[] {
  return Array.from({ length: count }, (_, index) => testBlob(someBytes(2048, 1 + from + index)))
}

async function setUp(t: TestContext, options: MemoryRegistryOptions = {}) {
  const registry = await startMemoryRegistry(options)
  t.after(() => registry.close())
  const repository = await openRepository(t, registry.host)
  /** Copies the blobs one after another and returns what was told of each. */
  const copy = async (blobs: readonly TestBlob[]): Promise<string[]> => {
    const told: string[] = []
    const opened = new Map(blobs.map(({ descriptor, open }) => [descriptor.digest, open]))
    await copyBlobs(
      blobs.map(({ descriptor }) => descriptor),
      { open: async ({ digest }, at) => opened.get(digest)?.(at) ?? assert.fail(digest) },
      repository,
      {
        concurrency: 1,
        signal,
        onEvent: ({ type }) => void (['exists', 'mounted', 'complete'].includes(type) && told.push(type)),
      },
    )
    await repository.releasePush()
    for (const { descriptor, bytes } of blobs) {
      assert.deepEqual(registry.blob('test/blobs', descriptor.digest), bytes)
    }
    assert.equal(registry.openSessions, 0)
    return told
  }
  /** The requests that the copying takes. */
  const requestsOf = async (blobs: readonly TestBlob[]): Promise<string[]> => {
    const before = registry.requests.length
    await copy(blobs)
    return named(registry, before)
  }
  return { registry, copy, requestsOf }
}

function named({ requests }: MemoryRegistry, from: number): string[] {
  return requests
    .slice(from)
    .map(({ method, query, status }) => `${method}${query.has('mount') ? ' mount' : ''} ${status}`)
}

const APART = ['HEAD 404', 'POST 202', 'PUT 201']
const COMBINED = ['POST mount 202', 'PUT 201']
const repeated = (requests: readonly string[], times: number) => Array.from({ length: times }, () => requests).flat()

test('a small blob takes two requests once the registry has shown what its answers to mounts mean', async (t) => {
  const { registry, requestsOf } = await setUp(t)
  await requestsOf(smallBlobs(FIRST))
  assert.deepEqual(await requestsOf(smallBlobs(1, 100)), ['HEAD 404', 'POST mount 201', 'POST 202', 'PUT 201'])
  const asked = registry.requests.find(({ query }) => query.has('mount'))
  assert.equal(asked?.query.get('from'), 'test/blobs')
  assert.equal(asked.query.get('mount'), smallBlobs(FIRST).at(-1)?.descriptor.digest)
  assert.deepEqual(await requestsOf(smallBlobs(4, 200)), repeated(COMBINED, 4))
})

test('a registry that never mounts is asked once, at the price of nothing', async (t) => {
  const { requestsOf } = await setUp(t, { mount: false })
  await requestsOf(smallBlobs(FIRST))
  assert.deepEqual(await requestsOf(smallBlobs(1, 100)), ['HEAD 404', 'POST mount 202', 'PUT 201'])
  assert.deepEqual(await requestsOf(smallBlobs(3, 200)), repeated(APART, 3))
})

test('a registry that takes blobs in one POST is not asked', async (t) => {
  const { requestsOf } = await setUp(t, { singlePost: true })
  await requestsOf(smallBlobs(FIRST))
  assert.deepEqual(await requestsOf(smallBlobs(3, 100)), repeated(['HEAD 404', 'POST 201'], 3))
})

test('blobs that are there are not sent, and are asked for by HEAD again', async (t) => {
  const { registry, copy, requestsOf } = await setUp(t)
  await copy(smallBlobs(FIRST + 1))
  const there = smallBlobs(3, 200)
  for (const { bytes } of there) registry.putBlob('test/blobs', bytes)
  const before = registry.requests.length
  assert.deepEqual(await copy(there), ['exists', 'exists', 'exists'])
  assert.deepEqual(named(registry, before), ['POST mount 201', 'HEAD 200', 'HEAD 200', 'HEAD 200'])
  assert.ok(there.every(({ opened }) => opened.length === 0))
  assert.deepEqual(await requestsOf(smallBlobs(2, 300)), [...APART, ...COMBINED])
})

test('a yes that a HEAD does not bear out counts for nothing, and mounts are not believed again', async (t) => {
  const { registry, copy, requestsOf } = await setUp(t)
  await copy(smallBlobs(FIRST + 1))
  registry.fail({ method: 'POST', path: /mount=/ }, { kind: 'answer', status: 201 })
  assert.deepEqual(await requestsOf(smallBlobs(2, 200)), ['POST mount 201', ...APART, ...APART])
})

const odd: Answer[] = [400, 403, 404, 405, 500, 200, 204].map((status) => ({ status }))
for (const answer of odd) {
  test(`after a ${answer.status} to such a mount it is HEAD and POST again`, async (t) => {
    const { registry, copy, requestsOf } = await setUp(t)
    await copy(smallBlobs(FIRST + 1))
    registry.fail({ method: 'POST', path: /mount=/ }, { kind: 'answer', ...answer })
    assert.deepEqual(await requestsOf(smallBlobs(2, 200)), [`POST mount ${answer.status}`, ...APART, ...APART])
  })

  test(`a registry that answers ${answer.status} when it is tried is left alone`, async (t) => {
    const { registry, copy, requestsOf } = await setUp(t)
    await copy(smallBlobs(FIRST))
    registry.fail({ method: 'POST', path: /mount=/ }, { kind: 'answer', ...answer })
    const first = ['HEAD 404', `POST mount ${answer.status}`, 'POST 202', 'PUT 201']
    assert.deepEqual(await requestsOf(smallBlobs(2, 200)), [...first, ...APART])
  })
}

test('a mount that a passing fault refuses is asked for again, and its session used', async (t) => {
  const { registry, copy, requestsOf } = await setUp(t)
  await copy(smallBlobs(FIRST + 1))
  registry.fail({ method: 'POST', path: /mount=/ }, { kind: 'answer', status: 503, headers: { 'retry-after': '0' } })
  assert.deepEqual(await requestsOf(smallBlobs(1, 200)), ['POST mount 503', ...COMBINED])
})

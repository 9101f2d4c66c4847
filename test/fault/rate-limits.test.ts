import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { copyBlobs } from '../../src/content/copy-graph.ts'
import type { ContentSource } from '../../src/content/endpoints.ts'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import { AppError } from '../../src/lib/errors.ts'
import type { RequestWait } from '../../src/oci/request/transport.ts'
import {
  type MemoryRegistry,
  type MemoryRegistryOptions,
  startMemoryRegistry,
} from '../helpers/registries/memory-registry.ts'
import { openRepository, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { fixedWindow, type RequestLimit, tokenBucket } from '../helpers/registries/request-limits.ts'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { createStepClock } from '../helpers/step-clock.ts'
import { connect, request } from '../helpers/registries/transport.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()
const anonymous = { credential: undefined, plainHttp: false }
const tags = '/v2/some/package/tags/list'
const REFUSED = { kind: 'answer', status: 429, body: '{"errors":[{"code":"TOOMANYREQUESTS"}]}' } as const

async function start(t: TestContext, options: MemoryRegistryOptions = {}): Promise<MemoryRegistry> {
  const registry = await startMemoryRegistry(options)
  t.after(() => registry.close())
  return registry
}

/** Goes four times as fast as it should, so that a limit of each second can be met often. */
function fastClock(): Clock {
  const begun = Date.now()
  return {
    now: () => begun + 4 * (Date.now() - begun),
    sleep: (ms, aborted) => systemClock.sleep(ms / 4, aborted),
  }
}

const LAYERS = 120

/** A publish of many small layers, as far as they are concerned; how many requests that took. */
async function moveLayers(t: TestContext, limit?: RequestLimit): Promise<number> {
  const clock = fastClock()
  const refused = { status: 429, headers: { 'retry-after': '1' } }
  const registry = await start(t, { authorize: () => (limit?.(clock.now()) === false ? refused : undefined) })
  const repository = await openRepository(t, registry.host, { clock, pace: {} })
  const blobs = Array.from({ length: LAYERS }, (_, at) => testBlob(someBytes(300, at + 1)))
  const byDigest = new Map(blobs.map((blob) => [blob.descriptor.digest, blob]))
  const source: ContentSource = {
    open: async ({ digest }, at) => await (byDigest.get(digest)?.open(at) ?? assert.fail()),
  }
  const descriptors = blobs.map(({ descriptor }) => descriptor)
  await copyBlobs(descriptors, source, repository, { concurrency: 6, signal, onEvent: () => undefined })
  for (const { digest } of descriptors) assert.ok(registry.blob('test/blobs', digest))
  return registry.requests.length
}

for (const [name, limit] of [
  ['15 in each second', fixedWindow(15)],
  ['15 a second', tokenBucket(15)],
] as const) {
  test(`a registry that lets in ${name} gets at most 1.2 times the requests of one that lets in all`, async (t) => {
    const ideal = await moveLayers(t)
    const asked = await moveLayers(t, limit)
    assert.ok(ideal >= 2 * LAYERS, `${ideal}`)
    assert.ok(asked > ideal, 'some were refused')
    assert.ok(asked <= 1.2 * ideal, `${asked} for ${ideal}`)
  })
}

for (const [name, options, expected] of [
  ['PUT of a small blob', {}, ['POST', 'POST', 'PUT 429', 'PUT 429', 'PUT 201']],
  ['POST of a small blob', { singlePost: true }, ['POST 429', 'POST 201']],
] as const) {
  test(`the ${name} is repeated at its place, and nothing else is asked`, async (t) => {
    const registry = await start(t, options)
    const repository = await openRepository(t, registry.host)
    await repository.preparePush({ signal })
    const [method = ''] = expected.at(-1)?.split(' ') ?? []
    const before = registry.requests.length
    registry.fail({ method, times: expected.filter((each) => each.endsWith('429')).length }, REFUSED)
    const blob = testBlob(someBytes(1000))
    await repository.push(blob.descriptor, blob.open, { signal, mayExist: false })
    const asked = registry.requests.slice(before)
    assert.deepEqual(
      asked.map((each) => `${each.method} ${each.status}`).filter((each) => each.startsWith(method)),
      expected.filter((each) => each.startsWith(method)),
    )
    const places = asked
      .filter((each) => each.method === method)
      .map(({ path, query }) => `${path}?${query.toString()}`)
    assert.equal(new Set(places).size, 1)
    assert.equal(registry.blob('test/blobs', blob.descriptor.digest)?.length, 1000)
  })
}

test('the PUT that closes a large upload is repeated; where a PATCH stands is asked first', async (t) => {
  const registry = await start(t)
  const repository = await openRepository(t, registry.host)
  registry.fail({ method: 'PATCH' }, { ...REFUSED, early: true })
  registry.fail({ method: 'PUT', times: 3 }, REFUSED)
  const blob = testBlob(someBytes(9 * MIB))
  await repository.push(blob.descriptor, blob.open, { signal })
  const asked = registry.requests.filter(({ path }) => path.includes('/uploads/')).map(({ method }) => method)
  assert.equal(asked.filter((method) => method === 'PUT').length, 4)
  assert.equal(asked[asked.indexOf('PATCH') + 1], 'GET')
})

/** Stands still until it is told to go on. */
function heldClock() {
  let now = Date.parse('2026-03-01T12:00:00Z')
  const waits = new Set<() => void>()
  return {
    waits,
    clock: {
      now: () => now,
      sleep: (_ms: number, aborted?: AbortSignal) =>
        new Promise<void>((resolve, reject) => {
          waits.add(resolve)
          aborted?.addEventListener('abort', () => {
            waits.delete(resolve)
            reject(aborted.reason as Error)
          })
        }),
    } satisfies Clock,
    advance(ms: number) {
      now += ms
      for (const resolve of waits) resolve()
      waits.clear()
    },
  }
}

for (const status of [429, 503]) {
  test(`after a ${status} with Retry-After no request of anybody goes out to that host before its time`, async (t) => {
    let answers = 0
    const registry = await startScriptedServer(t, (_incoming, response) => {
      answers += 1
      if (answers === 1) response.writeHead(status, { 'retry-after': '5' }).end()
      else response.end('{}')
    })
    const other = await startScriptedServer(t, (_incoming, response) => response.end('{}'))
    const held = heldClock()
    const { clock, waits } = held
    const connections = connect(t, { clock })
    const somebody = { credential: { kind: 'bearer', token: 'secret' }, plainHttp: false } as const
    const send = async (lane: 'control' | 'bulk', caller: typeof anonymous | typeof somebody, host = registry.host) => {
      const response = await connections.transport(host, caller).send(request(tags, { lane }))
      await response.discard()
    }
    const sent = [send('control', anonymous)]
    await waitFor('the first to be refused', () => waits.size === 1)
    sent.push(send('bulk', anonymous), send('control', somebody))
    await waitFor('the others to wait', () => waits.size === 3)
    await send('control', anonymous, other.host)
    assert.deepEqual([registry.requests.length, other.requests.length], [1, 1])
    const done = Promise.all(sent).then(() => 'done')
    let ended: string | undefined
    void done.then((how) => (ended = how))
    await waitFor('all to get through', () => {
      held.advance(5900)
      return ended !== undefined
    })
    assert.equal(registry.requests.length, 4)
  })
}

test('a registry without a pull left is asked for no manifest before there is one, and for all else as before', async (t) => {
  const registry = await startScriptedServer(t, (_incoming, response) => {
    response.setHeader('docker-ratelimit-source', '192.0.2.1')
    response.writeHead(200, { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '0;w=21600' }).end()
  })
  const held = heldClock()
  const waits: string[] = []
  const onWait = (_request: object, wait: RequestWait | undefined) => void (wait && waits.push(wait.error.message))
  const transport = connect(t, { clock: held.clock }).transport(registry.host, { ...anonymous, onWait })
  const send = async (method: 'GET' | 'HEAD', path: string) => {
    const response = await transport.send(request(`/v2/some/package/${path}`, { method }))
    await response.discard()
  }
  await send('GET', 'manifests/1')
  const pulled = send('GET', 'manifests/2')
  await waitFor('the second pull to wait', () => held.waits.size === 1)
  assert.deepEqual(waits, [`${registry.host} has 0 of 100 pulls left`])
  await send('HEAD', 'manifests/2')
  await send('GET', 'tags/list')
  assert.deepEqual(
    registry.requests.map(({ method }) => method),
    ['GET', 'HEAD', 'GET'],
  )
  held.advance(216_000)
  await pulled
  assert.equal(registry.requests.length, 4)
})

test('refusals cost none of the tries, and are told with the time of the next request', async (t) => {
  let refusals = 0
  const registry = await startScriptedServer(t, (_incoming, response) => {
    refusals += 1
    if (refusals <= 30) response.writeHead(429, { 'retry-after': '1' }).end()
    else if (refusals <= 34) response.writeHead(502).end()
    else response.end('{}')
  })
  const clock = createStepClock()
  const told: Array<RequestWait | undefined> = []
  const onWait = (_request: object, wait: RequestWait | undefined) => void told.push(wait)
  const transport = connect(t, { clock, pace: { baseMs: 500, maxMs: 2000 } }).transport(registry.host, {
    ...anonymous,
    onWait,
  })
  assert.equal((await transport.send(request(tags))).status, 200)
  assert.equal(registry.requests.length, 35)
  const [first] = told
  assert.equal(first?.error.message, `${registry.host} limits requests (429)`)
  assert.equal(first.error.code, 'REGISTRY_THROTTLED')
  assert.ok(first.retryAt > Date.parse('2026-03-01T12:00:00Z'))
  assert.equal(told.at(-1), undefined)
})

test('a registry that lets nothing in for ten minutes is not waited for any longer here', async (t) => {
  const registry = await startScriptedServer(t, (_incoming, response) =>
    response.writeHead(429, { 'retry-after': '60' }).end(),
  )
  for (const lane of ['control', 'bulk'] as const) {
    const before = registry.requests.length
    const transport = connect(t, { clock: createStepClock() }).transport(registry.host, anonymous)
    await assert.rejects(transport.send(request(tags, { lane })), (error) => {
      assert.ok(error instanceof AppError)
      assert.deepEqual([error.code, error.retry], ['REGISTRY_THROTTLED', 'transient'])
      assert.match(error.message, /answered 429; so it did for 10 minutes$/)
      // Longer than anybody above waits with a place.
      assert.ok((error.retryAfterMs ?? 0) > 600_000)
      return true
    })
    const asked = registry.requests.length - before
    assert.ok(asked >= 8 && asked <= 11, `${asked} requests`)
  }
})

test('who stops while a limit is waited for is let go at once', async (t) => {
  const registry = await startScriptedServer(t, (_incoming, response) =>
    response.writeHead(429, { 'retry-after': '500' }).end(),
  )
  const stopped = new AbortController()
  const waits: unknown[] = []
  const caller = { ...anonymous, onWait: (_request: object, wait: unknown) => void waits.push(wait) }
  const sent = connect(t)
    .transport(registry.host, caller)
    .send(request(tags, { signal: stopped.signal }))
  const ended = assert.rejects(sent, { code: 'JOB_CANCELED' })
  await waitFor('the wait to be told', () => waits.length === 1)
  stopped.abort(new AppError('JOB_CANCELED', 'enough'))
  await ended
  assert.equal(registry.requests.length, 1)
})

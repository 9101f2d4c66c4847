import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import {
  type MemoryRegistry,
  type MemoryRegistryOptions,
  startMemoryRegistry,
} from '../helpers/registries/memory-registry.ts'
import { type RequestLimit, tokenBucket } from '../helpers/registries/request-limits.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const LAYERS = 40

interface Bed {
  system: JobSystem
  registry: MemoryRegistry
  folder: string
  /** When each request came, ms, and whose it was. */
  came: Array<{ at: number; agent: string }>
}

async function setUp(t: TestContext, options: { limit?: RequestLimit } & MemoryRegistryOptions = {}): Promise<Bed> {
  const came: Bed['came'] = []
  const refused = { status: 429, headers: { 'retry-after': '1' } }
  const registry = await startMemoryRegistry({
    ...options,
    authorize({ headers }) {
      const at = performance.now()
      came.push({ at, agent: headers['user-agent'] ?? '' })
      return options.limit?.(at) === false ? refused : undefined
    },
  })
  t.after(() => registry.close())
  const folder = await tempDir(t)
  const system = await startJobSystem(t, { roots: [folder] })
  return { system, registry, folder, came }
}

async function packageOf({ folder }: Bed, name: 'one' | 'two', layers: number, layerBytes = 300): Promise<string> {
  const seed = name === 'one' ? 1000 : 2000
  const built = await buildPackage(join(folder, name), { name, layers, layerBytes, seed, format: 'tar' })
  return built.path
}

/** Two packages, by a worker process each. */
async function publishTwice(t: TestContext, options: Parameters<typeof setUp>[1], perSecond?: number) {
  const bed = await setUp(t, options)
  const { system, registry } = bed
  if (perSecond !== undefined) await system.limit(registry.host, { requestsPerSecond: perSecond })
  const paths = [await packageOf(bed, 'one', LAYERS), await packageOf(bed, 'two', LAYERS)]
  await Promise.all([system.workerProcess('w1', { jobs: 1 }), system.workerProcess('w2', { jobs: 1 })])
  const jobs = await Promise.all(paths.map((path) => system.publish(path, registry.host)))
  for (const { id } of jobs) {
    const { state, attempt } = await system.ended(id)
    assert.deepEqual([state, attempt], ['succeeded', 1])
  }
  return bed
}

function countOf({ came }: Bed, worker: string): number {
  return came.filter(({ agent }) => agent === `layerd/${worker}`).length
}

test('two worker processes at a registry that lets in 15 a second ask at most 1.2 times what they would ask of one that lets in all', async (t) => {
  const ideal = (await publishTwice(t, {})).came.length
  const bed = await publishTwice(t, { limit: tokenBucket(15) })
  t.diagnostic(`${bed.came.length} requests where ${ideal} would do`)
  assert.ok(bed.came.length > ideal, 'some were refused')
  assert.ok(bed.came.length <= 1.2 * ideal, `${bed.came.length} for ${ideal}`)
  const [w1, w2] = [countOf(bed, 'w1'), countOf(bed, 'w2')]
  assert.ok(Math.min(w1, w2) >= 0.7 * Math.max(w1, w2), `${w1} and ${w2}`)
})

test('requests a second of two worker processes together stay under the limit, and both have their share', async (t) => {
  const bed = await publishTwice(t, {}, 20)
  const { came } = bed
  const first = came[0]?.at ?? 0
  came.forEach(({ at }, before) => {
    const most = ((at - first) / 1000) * 20 + 20
    assert.ok(before <= most, `${before} requests after ${at - first} ms`)
  })
  // Until one of them has no more to ask.
  const last = (worker: string) => came.findLastIndex(({ agent }) => agent === `layerd/${worker}`)
  const both = came.slice(0, Math.min(last('w1'), last('w2')) + 1)
  const [w1, w2] = [countOf({ ...bed, came: both }, 'w1'), countOf({ ...bed, came: both }, 'w2')]
  assert.ok(Math.min(w1, w2) >= 0.5 * Math.max(w1, w2), `${w1} and ${w2}`)
})

test('a job that waits for a limit that is set says which and until when; it goes on when the limit is lifted', async (t) => {
  const bed = await setUp(t)
  const { system, registry } = bed
  await system.limit(registry.host, { requestsPerSecond: 0.2 })
  const path = await packageOf(bed, 'one', 60)
  await system.worker('w1')
  const { id } = await system.publish(path, registry.host)
  const said = new RegExp(
    String.raw`^requests per second of ${RegExp.escape(registry.host)} \(limit 0\.2\); next at [\d:]+`,
  )
  const waiting = await waitFor('the job to say what it waits for', async () => {
    const job = await system.queue.get(id)
    return job && said.test(job.reason ?? '') ? job : undefined
  })
  assert.notEqual(waiting.progress.retryAt, null)
  // It would take more than ten minutes.
  await system.limit(registry.host, null)
  const ended = await system.ended(id)
  assert.deepEqual([ended.state, ended.attempt, ended.reason], ['succeeded', 1, null])
  const log = await system.log(id)
  assert.equal(log.filter((event) => event.type === 'log' && event.message.includes('requests per second')).length, 1)
})

test('a limit that is set while a job runs holds for it', async (t) => {
  const bed = await setUp(t)
  const { system, registry, came } = bed
  const path = await packageOf(bed, 'one', 60)
  await system.worker('w1')
  let letGo: (value?: unknown) => void = () => undefined
  registry.fail(
    { method: 'PUT', nth: 5, times: 1000 },
    { kind: 'hold', until: new Promise((resolve) => (letGo = resolve)) },
  )
  const { id } = await system.publish(path, registry.host)
  await waitFor('its bodies to be held', () => registry.requests.filter(({ method }) => method === 'PUT').length > 6)
  await system.limit(registry.host, { requestsPerSecond: 20 })
  await waitFor('the worker to know', async () => {
    const reason = (await system.queue.get(id))?.reason ?? ''
    letGo()
    return reason.startsWith('requests per second of')
  })
  const before = came.length
  const since = performance.now()
  assert.equal((await system.ended(id)).state, 'succeeded')
  const after = came.slice(before)
  assert.ok(after.length > 20)
  assert.ok(after.length <= ((performance.now() - since) / 1000) * 20 + 20, `${after.length}`)
})

/** Holds bodies that come, and counts them. */
function gate(registry: MemoryRegistry) {
  const held: Array<() => void> = []
  let open = false
  let most = 0
  registry.fail(
    { method: 'PUT', path: /\/uploads\//, times: 10_000 },
    {
      kind: 'hold',
      get until() {
        if (open) return Promise.resolve()
        const { promise, resolve } = Promise.withResolvers<void>()
        held.push(resolve)
        most = Math.max(most, held.length)
        return promise
      },
    },
  )
  return {
    get held() {
      return held.length
    },
    get most() {
      return most
    },
    next: () => held.shift()?.(),
    open() {
      open = true
      for (const resolve of held.splice(0)) resolve()
    },
  }
}

test('bodies of two processes at once stay under the limit; those of one that is killed count no more', async (t) => {
  const bed = await setUp(t)
  const { system, registry } = bed
  await system.limit(registry.host, { concurrency: 2 })
  const paths = [await packageOf(bed, 'one', 8), await packageOf(bed, 'two', 8)]
  const bodies = gate(registry)
  const victim = await system.workerProcess('w1', { jobs: 1, lockMs: 3000 })
  const first = await system.publish(paths[0] ?? '', registry.host)
  await waitFor('the first to have its bodies under way', () => bodies.held === 2)
  await system.workerProcess('w2', { jobs: 1, lockMs: 3000 })
  const second = await system.publish(paths[1] ?? '', registry.host)
  const said = new RegExp(String.raw`^bodies at once of ${RegExp.escape(registry.host)} \(limit 2\); next at [\d:]+`)
  await waitFor('the second to say what it waits for', async () =>
    said.test((await system.queue.get(second.id))?.reason ?? ''),
  )
  // Small requests are not behind bodies.
  const of = (method: string) =>
    registry.requests.filter((asked) => asked.method === method && asked.headers['user-agent'] === 'layerd/w2').length
  assert.ok(of('HEAD') + of('POST') > 0)
  assert.deepEqual([bodies.most, of('PUT')], [2, 0])
  bodies.next()
  await waitFor('the second to have its share', () => of('PUT') === 1)
  assert.equal(bodies.most, 2)
  await victim.kill()
  await waitFor('the second to have all places', () => of('PUT') === 2)
  bodies.open()
  for (const { id } of [first, second]) assert.equal((await system.ended(id)).state, 'succeeded')
})

test('bytes of bodies go on as the limit lets them, and small requests before them', async (t) => {
  const bed = await setUp(t)
  const { system, registry } = bed
  const MIB = 1024 * 1024
  await system.limit(registry.host, { bytesPerSecond: MIB })
  const path = await packageOf(bed, 'one', 3, MIB)
  await Promise.all([system.workerProcess('w1', { jobs: 1 }), system.workerProcess('w2', { jobs: 1 })])
  const begun = performance.now()
  const { id } = await system.publish(path, registry.host)
  const other = await system.publish(await packageOf(bed, 'two', 1, MIB), registry.host)
  for (const job of [id, other.id]) assert.equal((await system.ended(job)).state, 'succeeded')
  const ended = performance.now()
  const sent = registry.requests.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0)
  assert.ok(sent >= 4 * MIB)
  assert.ok(sent <= ((ended - begun) / 1000) * MIB + MIB, `${sent} bytes in ${ended - begun} ms`)
  const pulling = performance.now()
  const pulled = await system.pull(`oci://${registry.host}/one:1.0.0`)
  assert.equal((await system.ended(pulled.id)).state, 'succeeded')
  assert.ok(performance.now() - pulling > 1900, 'so do those of a pull')
})

test('a Redis that restarts in the middle neither stops a limited job nor lifts its limit', async (t) => {
  const bed = await setUp(t)
  const { system, registry, came } = bed
  await system.limit(registry.host, { requestsPerSecond: 10, concurrency: 2 })
  const path = await packageOf(bed, 'one', 30)
  await Promise.all([system.worker('w1'), system.worker('w2')])
  const { id } = await system.publish(path, registry.host)
  await waitFor('it to be under way', () => came.length > 10)
  await system.redis.kill()
  await system.redis.start()
  assert.equal((await system.ended(id)).state, 'succeeded')
  const [first, last] = [came[0], came.at(-1)]
  assert.ok(first && last)
  // The end of Redis costs each process what it was handed at most.
  assert.ok(came.length <= ((last.at - first.at) / 1000) * 10 + 20)
})

test('copies that go to and fro between two registries with one body at a time do not wait for each other', async (t) => {
  const [one, two] = [await setUp(t, { mount: false }), await startMemoryRegistry({ mount: false })]
  t.after(() => two.close())
  const { system, registry } = one
  await system.worker('w1')
  const both = { one: registry.host, two: two.host }
  for (const [name, host] of Object.entries(both)) {
    const { id } = await system.publish(await packageOf(one, name as keyof typeof both, 2), host)
    assert.equal((await system.ended(id)).state, 'succeeded')
  }
  for (const host of Object.values(both)) await system.limit(host, { concurrency: 1 })
  const copies = await Promise.all([
    system.copy(`oci://${both.one}/one:1.0.0`, `oci://${both.two}/copies`),
    system.copy(`oci://${both.two}/two:1.0.0`, `oci://${both.one}/copies`),
    system.copy(`oci://${both.one}/one:1.0.0`, `oci://${both.one}/beside`),
  ])
  for (const { id } of copies) {
    const { state, error } = await system.ended(id)
    assert.equal(state, 'succeeded', error?.detail)
  }
})

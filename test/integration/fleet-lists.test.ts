import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { createJobEventReader } from '../../src/jobs/progress/events.ts'
import { defer } from '../helpers/cleanup.ts'
import { addJob } from '../helpers/redis/instant-worker.ts'
import { newJob } from '../helpers/redis/jobs.ts'
import { wordOf } from '../helpers/redis/worker-facts.ts'
import { type FleetEvent, type FleetWatch, watchFleet } from '../helpers/streams/fleet.ts'
import { startApp, type TestAppOptions } from '../helpers/streams/http-app.ts'
import { bearer, tokensFor } from '../helpers/streams/principals.ts'
import { waitFor } from '../helpers/wait-for.ts'

const ONE = 'one.example:5000'
const TWO = 'two.example'
const BOTH = '?include=queues&include=workers'

async function start(t: TestContext, options: TestAppOptions = {}) {
  const server = await startApp(t, { streams: { listsMs: 20, heartbeatMs: 30 }, ...options })
  const base = await server.listen()
  return { ...server, base, url: `${base}/v1/events` }
}

function last(events: readonly FleetEvent[], type: 'queues' | 'workers'): FleetEvent | undefined {
  return events.findLast((event) => event.type === type)
}

const queuesOf = ({ events }: FleetWatch) =>
  last(events, 'queues')?.queues?.map(({ host, jobs, pause }) => `${host} ${jobs.waiting} ${pause?.by ?? '-'}`)
const workersOf = ({ events }: FleetWatch) => last(events, 'workers')?.workers?.map(({ id, state }) => `${id} ${state}`)

async function tells(watch: FleetWatch, queues: string[], workers: string[]): Promise<void> {
  await waitFor(`${queues.join()} and ${workers.join()}`, () => {
    return queuesOf(watch)?.join() === queues.join() && workersOf(watch)?.join() === workers.join()
  })
}

test('queues and workers are told as wholes by each API process, and again when they change or go', async (t) => {
  const { jobs, app, base } = await start(t)
  const events = createJobEventReader(jobs.options)
  defer(t, () => events.close())
  const other = await start(t, { queue: jobs.queue, events, beside: { jobs } })
  await jobs.runs.heartbeat('worker-1', wordOf())
  const id = await addJob(jobs, TWO)
  const watches = await Promise.all([base, other.base].map((one) => watchFleet(`${one}/v1/events${BOTH}`)))
  for (const watch of watches) await tells(watch, [`${TWO} 1 -`], ['worker-1 running'])
  assert.deepEqual(
    watches.map(({ events: [first, second, third] }) => [first?.type, second?.type, third?.type]),
    [
      ['snapshot', 'queues', 'workers'],
      ['snapshot', 'queues', 'workers'],
    ],
  )
  for (const [list, path] of [
    ['queues', '/v1/queues'],
    ['workers', '/v1/workers'],
  ] as const) {
    const { items } = (await app.inject(path)).json<{ items: Array<Record<string, unknown>> }>()
    const told = last(watches[0]?.events ?? [], list)?.[list] as unknown as Array<Record<string, unknown>>
    const lasting = (all: Array<Record<string, unknown>>) => all.map((one) => ({ ...one, oldestWaitingSeconds: 0 }))
    assert.deepEqual(lasting(told), lasting(items))
  }
  await jobs.queue.queues.pause(ONE, 'ann', null)
  await jobs.queue.workers.drain('worker-1', { handOver: false })
  for (const watch of watches) await tells(watch, [`${ONE} 0 ann`, `${TWO} 1 -`], ['worker-1 draining'])
  await jobs.queue.queues.resume(ONE)
  await jobs.queue.cancel(id)
  await jobs.runs.heartbeat('worker-2', wordOf())
  for (const watch of watches) await tells(watch, [], ['worker-1 draining', 'worker-2 running'])
  assert.ok(watches.every((watch) => watch.events.every((event) => !('queues' in event) || event.id === undefined)))

  // Who comes back is given the whole again, before what it missed.
  const again = await watchFleet(`${base}/v1/events${BOTH}&lastEventId=${watches[0]?.lastId()}`)
  await tells(again, [], ['worker-1 draining', 'worker-2 running'])
  assert.ok(again.events.every(({ type }) => type !== 'snapshot' && type !== 'reset'))
  const page = (await app.inject({ url: `/v1/events${BOTH}`, headers: { accept: 'application/json' } })).json()
  assert.deepEqual(
    page.items.map(({ type }: FleetEvent) => type),
    ['snapshot', 'queues', 'workers'],
  )
  const once = await app.inject({
    url: '/v1/events?once=true&include=queues',
    headers: { accept: 'application/x-ndjson' },
  })
  const lines = once.body.trim().split('\n')
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as FleetEvent).type),
    ['snapshot', 'queues'],
  )
})

test('a list ends at 200, and says where GET /v1/queues goes on', async (t) => {
  const { jobs, app } = await start(t)
  for (let at = 0; at < 202; at += 1) await jobs.queue.queues.pause(`r${1000 + at}.example`, 'ann', null)
  const headers = { accept: 'application/json' }
  const [, told] = (await app.inject({ url: '/v1/events?include=queues', headers })).json<{ items: FleetEvent[] }>()
    .items
  assert.deepEqual([told?.queues?.length, told?.queues?.at(-1)?.host], [200, 'r1199.example'])
  const rest = (await app.inject(`/v1/queues?pageToken=${told?.nextPageToken}`)).json()
  assert.deepEqual(
    rest.items.map(({ host }: { host: string }) => host),
    ['r1200.example', 'r1201.example'],
  )
})

test('each is told what GET /v1/queues and /v1/workers show it, and without system:read nothing', async (t) => {
  const tokensFile = await tokensFor(t, {
    all: 'jobs:read,system:read',
    one: `jobs:read,system:read registries=${ONE}`,
    part: `jobs:read,system:read repositories=${ONE}/team/**`,
    star: `* repositories=${TWO}/**`,
    reader: 'jobs:read',
    system: 'system:read',
  })
  const { jobs, url, app } = await start(t, { tokensFile })
  await jobs.runs.heartbeat('worker-1', wordOf())
  const people = ['all', 'one', 'part', 'star'] as const
  const watches = await Promise.all(people.map((who) => watchFleet(`${url}${BOTH}`, bearer(who))))
  for (const host of [ONE, TWO]) await jobs.queue.queues.pause(host, 'ann', null)
  await jobs.queue.create(newJob({ destination: null, queueHost: 'local', registries: [] }))
  const seen = [['local 1 -', `${ONE} 0 ann`, `${TWO} 0 ann`], [`${ONE} 0 ann`], [], [`${TWO} 0 ann`]]
  for (const [at, watch] of watches.entries()) {
    await tells(watch, seen[at] ?? [], at === 0 ? ['worker-1 running'] : [])
    const hidden = [ONE, TWO].filter((host) => !seen[at]?.join().includes(host))
    for (const host of hidden) assert.ok(!JSON.stringify(watch.events).includes(host), people[at])
  }
  for (const include of ['queues', 'workers']) {
    const headers = { ...bearer('reader'), accept: 'text/event-stream' }
    const refused = await app.inject({ url: `/v1/events?once=true&include=${include}`, headers })
    assert.deepEqual([refused.statusCode, refused.json<Problem>().code], [403, 'SCOPE_MISSING'])
    const other = await app.inject({ url: `/v1/events?include=${include}`, headers: bearer('system') })
    assert.equal(other.statusCode, 403)
  }
  assert.equal((await app.inject({ url: '/v1/events?include=stats', headers: bearer('all') })).statusCode, 400)
})

test('Redis is asked while somebody wants lists, once for all of them', async (t) => {
  const { jobs, url } = await start(t)
  await addJob(jobs, ONE)
  const monitor = await jobs.raw.monitor()
  t.after(() => monitor.disconnect())
  const reads = { queues: 0, workers: 0 }
  monitor.on('monitor', (_time: string, args: string[]) => {
    if (args.includes('BYLEX')) reads.queues += 1
    if (args[0]?.toLowerCase() === 'evalsha' && args.includes('all')) reads.workers += 1
  })
  const plain = await watchFleet(url)
  const pings = async (more: number) => {
    const count = () => plain.events.filter(({ type }) => type === 'ping').length
    const until = count() + more
    await waitFor('time to go by', () => count() >= until)
  }
  await pings(10)
  assert.deepEqual(reads, { queues: 0, workers: 0 })
  assert.ok(plain.events.every(({ type }) => type === 'snapshot' || type === 'ping'))

  const began = performance.now()
  const watches = await Promise.all(Array.from({ length: 10 }, () => watchFleet(`${url}${BOTH}`)))
  await waitFor('both to be read again', () => reads.queues > 5 && reads.workers > 2)
  const ticks = (performance.now() - began) / 20
  assert.ok(reads.queues <= ticks + 3 && reads.workers <= ticks / 2 + 3, JSON.stringify({ ...reads, ticks }))

  for (const watch of watches) watch.cut()
  await waitFor('the end of it', async () => {
    const before = { ...reads }
    await pings(4)
    return before.queues === reads.queues && before.workers === reads.workers
  })
})

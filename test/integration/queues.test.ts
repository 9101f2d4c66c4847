import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Queue } from '../../src/http/schemas/system/queue.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { createScripts } from '../../src/jobs/redis/scripts.ts'
import { addJob } from '../helpers/redis/instant-worker.ts'
import { begin, newJob, PROBLEM, RESULT } from '../helpers/redis/jobs.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'
import { ask, told, tokensFor } from '../helpers/streams/principals.ts'

const HOST = 'registry.example:5000'
const NONE = { waiting: 0, running: 0, retrying: 0, paused: 0 }

async function queueOf({ app }: TestApp, host = HOST): Promise<Queue> {
  const answer = await app.inject(`/v1/queues/${encodeURIComponent(host)}`)
  assert.equal(answer.statusCode, 200, answer.body)
  return answer.json<Queue>()
}

async function listed({ app }: TestApp, query = ''): Promise<{ items: Queue[]; nextPageToken?: string }> {
  return (await app.inject(`/v1/queues${query}`)).json()
}

test('a queue counts its jobs by state on their way, says how many ended, and is gone with the last', async (t) => {
  const bed = await startApp(t)
  const { queue, runs } = bed.jobs
  const [one, two, three, four] = await Promise.all([1, 2, 3, 4].map(async () => (await queue.create(newJob())).job))
  assert.ok(one && two && three && four)
  assert.deepEqual((await queueOf(bed)).jobs, { ...NONE, waiting: 4 })
  assert.equal((await queueOf(bed)).reason, 'no worker is running')
  await runs.heartbeat('worker-1')
  assert.equal((await queueOf(bed)).reason, null, 'it is their turn')
  const run = await begin(bed.jobs, one)
  const other = await begin(bed.jobs, two)
  await queue.pause(three.id)
  assert.deepEqual((await queueOf(bed)).jobs, { ...NONE, waiting: 1, running: 2, paused: 1 })
  await queue.cancel(two.id)
  await runs.finish(one.id, run.epoch, { state: 'retrying', retryAt: new Date(), error: PROBLEM })
  assert.deepEqual((await queueOf(bed)).jobs, { waiting: 1, running: 1, retrying: 1, paused: 1 })
  await runs.finish(two.id, other.epoch, { state: 'canceled', reason: null })
  const again = await begin(bed.jobs, one)
  await runs.finish(one.id, again.epoch, { state: 'succeeded', result: RESULT })
  const late = await queueOf(bed)
  assert.deepEqual(late.jobs, { ...NONE, waiting: 1, paused: 1 })
  // Two, over four minutes and the part of one that has gone by.
  assert.ok(late.jobsPerMinute >= 0.4 && late.jobsPerMinute <= 0.5, String(late.jobsPerMinute))
  await queue.cancel(four.id)
  await queue.resume(three.id)
  assert.deepEqual((await queueOf(bed)).jobs, { ...NONE, waiting: 1 })
  await queue.cancel(three.id)
  const gone = await bed.app.inject(`/v1/queues/${HOST}`)
  assert.equal(gone.json<Problem>().code, 'NOT_FOUND')
  assert.deepEqual((await listed(bed)).items, [])
  await queue.retry(one.id).catch(() => undefined)
  await queue.retry(two.id)
  assert.deepEqual((await queueOf(bed)).jobs, { ...NONE, waiting: 1 })
})

test('the oldest that waits tells its age, and limits where they come from', async (t) => {
  const bed = await startApp(t)
  const { raw, queue } = bed.jobs
  const { job } = await queue.create(newJob())
  await queue.create(newJob())
  const key = `{layerd}:queue:${HOST}:queued`
  await raw.zincrby(key, -90_000, job.id)
  const { oldestWaitingSeconds, limits } = await queueOf(bed)
  assert.ok(oldestWaitingSeconds !== null && oldestWaitingSeconds >= 90 && oldestWaitingSeconds < 150)
  assert.deepEqual(limits, { jobs: { value: 8, from: 'environment' }, requestsPerSecond: null })
  const put = { method: 'PUT', url: `/v1/registries/${HOST}`, payload: { limits: { requestsPerSecond: 50 } } } as const
  assert.equal((await bed.app.inject(put)).statusCode, 201)
  assert.deepEqual((await queueOf(bed)).limits.requestsPerSecond, { value: 50, from: 'setting' })
  // As a process tells it that was refused.
  const refusal = ['refused', 429, 20_000, 1, 12, 'somebody', '{layerd}:limits', HOST]
  await createScripts(raw).numbers('limits', `{layerd}:limits:${HOST}`, refusal)
  await bed.jobs.runs.heartbeat('worker-1')
  const asked = await queueOf(bed)
  assert.equal(asked.limits.requestsPerSecond?.from, 'learnt')
  assert.ok((asked.limits.requestsPerSecond?.value ?? 50) < 12)
  assert.match(asked.reason ?? '', /^registry\.example:5000 answered 429, and is asked for nothing for (20|1\d) s$/)
})

test('jobs of an older version are counted when they are first asked for, and what a fail-over lost is set right', async (t) => {
  const bed = await startApp(t)
  const { raw, queue, runs } = bed.jobs
  await queue.create(newJob())
  const { job } = await queue.create(newJob())
  await queue.pause(job.id)
  await raw.set('{layerd}:hosts:counted', 1, 'PX', 300_000)
  await raw.del('{layerd}:queues', `{layerd}:queue:${HOST}:queued`, `{layerd}:queue:${HOST}:paused`)
  assert.deepEqual(
    (await listed(bed)).items.map(({ host, jobs }) => [host, jobs]),
    [[HOST, { ...NONE, waiting: 1, paused: 1 }]],
  )
  await raw.zadd(`{layerd}:queue:${HOST}:running`, 1, job.id)
  await raw.zadd('{layerd}:queues', 0, 'gone.example')
  await raw.zadd('{layerd}:queue:gone.example:queued', 1, 'gone')
  await raw.del('{layerd}:hosts:counted')
  assert.equal(await runs.recountOpen(), 2)
  assert.deepEqual(
    (await listed(bed)).items.map(({ jobs }) => jobs),
    [{ ...NONE, waiting: 1, paused: 1 }],
  )
})

test('a registry of several names has one queue, which is paused by any of them', async (t) => {
  const bed = await startApp(t, { kinds: new Set(['copy']) })
  for (const name of ['index.docker.io', 'Docker.IO', 'registry-1.docker.io']) {
    const payload = { kind: 'copy', source: 'oci://ghcr.io/team/nemo:1.0.0', destination: `oci://${name}/team` }
    assert.equal((await bed.app.inject({ method: 'POST', url: '/v1/jobs', payload })).statusCode, 202)
  }
  const { items } = await listed(bed)
  assert.deepEqual(
    items.map(({ host, jobs }) => [host, jobs.waiting]),
    [['docker.io', 3]],
  )
  const paused = await bed.app.inject({ method: 'POST', url: '/v1/queues/index.docker.io/pause' })
  assert.equal(paused.statusCode, 200, paused.body)
  assert.match((await queueOf(bed, 'registry-1.docker.io')).reason ?? '', /^the queue of docker\.io is paused/)
  for (const name of ['docker.io', 'index.docker.io']) {
    const found = await bed.app.inject(`/v1/jobs?registry=${name}`)
    assert.equal(found.json<{ items: unknown[] }>().items.length, 3, name)
  }
})

test('pages of queues go by host, and hosts that are none are told so', async (t) => {
  const bed = await startApp(t)
  const hosts = ['a.example', 'b.example:5000', '[::1]:5000', 'c.example', 'docker.io']
  for (const host of hosts) await addJob(bed.jobs, host)
  await bed.jobs.queue.create(newJob({ kind: 'verify', destination: null, queueHost: 'local', registries: [] }))
  const found: string[] = []
  let token: string | undefined
  do {
    const page = await listed(bed, `?pageSize=2${token === undefined ? '' : `&pageToken=${token}`}`)
    assert.ok(page.items.length <= 2)
    found.push(...page.items.map(({ host }) => host))
    token = page.nextPageToken
  } while (token !== undefined)
  assert.deepEqual(found, [...hosts, 'local'].toSorted())
  for (const { id, host } of (await listed(bed)).items) {
    const { statusCode, body } = await bed.app.inject(`/v1/queues/${id}`)
    assert.deepEqual([statusCode, JSON.parse(body).host], [200, host], id)
  }
  assert.equal((await bed.app.inject('/v1/queues?pageToken=%00')).json<Problem>().code, 'REQUEST_INVALID')
  const before = await bed.jobs.raw.dbsize()
  for (const [path, status] of [
    ['..%2F..%2Fjobs', 400],
    ['..', 404],
    ['a.example%2Fteam', 400],
    ['a.example~team', 400],
    ['%00', 400],
    ['%', 400],
    ['a%0Ab.example', 400],
    ['ä.example', 400],
    ['%F0%9F%98%80.example', 400],
    ['a.example%7C', 400],
    ['*', 400],
    ['', 400],
    [`${'a'.repeat(4096)}.example`, 400],
    ['other.example', 404],
  ] as const) {
    const answer = await bed.app.inject(`/v1/queues/${path}`)
    assert.equal(answer.statusCode, status, `${path.slice(0, 40)}: ${answer.body}`)
    assert.ok(answer.body.length < 10_000)
    assert.ok(answer.json<Problem>().detail)
  }
  assert.equal(await bed.jobs.raw.dbsize(), before, 'nothing is left in Redis')
})

test('who is limited sees the queues of registries that are its own as a whole, and no other is there', async (t) => {
  const tokensFile = await tokensFor(t, {
    all: 'system:read',
    host: 'system:read registries=one.example',
    whole: 'system:read repositories=one.example/**,two.example/team/**',
    part: 'system:admin repositories=one.example/team/**',
    kinds: 'system:read kinds=publish',
    none: 'jobs:read',
  })
  const bed = await startApp(t, { tokensFile })
  for (const host of ['one.example', 'two.example', 'three.example']) await addJob(bed.jobs, host)
  await bed.jobs.queue.create(newJob({ kind: 'verify', destination: null, queueHost: 'local', registries: [] }))
  const every = ['local', 'one.example', 'three.example', 'two.example']
  for (const [person, hosts] of Object.entries({
    all: every,
    kinds: every,
    host: ['one.example'],
    whole: ['one.example'],
    part: [],
  })) {
    const { items } = (await ask(bed.app, person, { url: '/v1/queues' })).json<{ items: Queue[] }>()
    assert.deepEqual(
      items.map(({ host }) => host),
      hosts,
      person,
    )
    for (const host of every) {
      const answer = await ask(bed.app, person, { url: `/v1/queues/${host}` })
      const seen = (hosts as readonly string[]).includes(host)
      assert.equal(answer.statusCode, seen ? 200 : 404, `${person} ${host}`)
      if (seen) continue
      const absent = await ask(bed.app, person, { url: '/v1/queues/absent.example' })
      assert.deepEqual(told(answer, host), told(absent, 'absent.example'), `${person} ${host}`)
    }
  }
  assert.equal((await ask(bed.app, 'none', { url: '/v1/queues' })).json<Problem>().code, 'SCOPE_MISSING')
})

test('a page of a thousand queues, one of them with ten thousand jobs, is a few hundred commands', async (t) => {
  const bed = await startApp(t)
  const { raw } = bed.jobs
  const state = '{layerd}:queue:registry-0.example:queued'
  const fill = raw.pipeline()
  fill.set('{layerd}:queues:known', 1)
  for (let at = 0; at < 1000; at += 1) {
    fill.zadd('{layerd}:queues', 0, `registry-${at}.example`)
    fill.zadd(`{layerd}:queue:registry-${at}.example:queued`, 1, `job-${at}`)
  }
  for (let at = 0; at < 10_000; at += 1) fill.zadd(state, at + 1, `job-${at}`)
  await fill.exec()
  const calls = async () => {
    const stats = await raw.info('commandstats')
    return [...stats.matchAll(/^cmdstat_(?!info|config)[^:]+:calls=(\d+)/gm)].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    )
  }
  const cost = async (query: string) => {
    const before = await calls()
    const { items } = await listed(bed, query)
    return { items, commands: (await calls()) - before }
  }
  const page = await cost('?pageSize=200')
  assert.equal(page.items.length, 200)
  assert.equal(page.items[0]?.jobs.waiting, 10_000)
  // Eleven a queue, and what does not grow with them.
  assert.ok(page.commands < 200 * 11 + 100, `${page.commands} commands`)
  const one = await cost('?pageSize=1')
  assert.ok(one.commands < 100, `${one.commands} commands`)
})

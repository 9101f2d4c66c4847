import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Queue } from '../../src/http/schemas/system/queue.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { pauseText } from '../../src/jobs/model/queue-pause.ts'
import { queueLooker } from '../../src/jobs/dispatch/look-queues.ts'
import { createKeys } from '../../src/jobs/redis/keys.ts'
import { addJob, hostOf, startInstantWorker } from '../helpers/redis/instant-worker.ts'
import { begin, newJob } from '../helpers/redis/jobs.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'
import { ask, tokensFor } from '../helpers/streams/principals.ts'
import { waitFor } from '../helpers/wait-for.ts'

const HOST = 'registry.example:5000'
const OTHER = 'other.example'
const META = '{layerd}:bull:registry.example%3A5000:meta'

async function change({ app }: TestApp, what: 'pause' | 'resume', host = HOST, payload?: object): Promise<Queue> {
  const url = `/v1/queues/${encodeURIComponent(host)}/${what}`
  const answer = await app.inject({ method: 'POST', url, ...(payload ? { payload } : {}) })
  assert.equal(answer.statusCode, 200, answer.body)
  return answer.json<Queue>()
}

async function jobsOf({ app }: TestApp, host = HOST): Promise<Queue['jobs']> {
  return (await app.inject(`/v1/queues/${encodeURIComponent(host)}`)).json<Queue>().jobs
}

async function reasonOf({ app }: TestApp, id: string): Promise<string | null> {
  return (await app.inject(`/v1/jobs/${id}`)).json<{ reason: string | null }>().reason
}

/** Two workers of two places each, whose jobs of the host last until `open` is called. */
async function twoWorkers(t: TestContext, bed: TestApp) {
  const started: string[] = []
  let gate = Promise.withResolvers<undefined>()
  t.after(() => gate.resolve(undefined))
  for (const name of ['one', 'two']) {
    await startInstantWorker(t, bed.jobs, {
      name,
      jobs: 2,
      async run(job) {
        if (hostOf(job) !== HOST) return
        started.push(job.id)
        await gate.promise
      },
    })
  }
  return {
    started,
    open() {
      gate.resolve(undefined)
      gate = Promise.withResolvers()
    },
  }
}

test('a paused queue starts no job in any process, those that run end, and others have the places', async (t) => {
  const bed = await startApp(t)
  const workers = await twoWorkers(t, bed)
  const ids: string[] = []
  for (let at = 0; at < 8; at += 1) ids.push(await addJob(bed.jobs, HOST))
  await waitFor('all places to be taken', () => workers.started.length === 4)
  const paused = await change(bed, 'pause', HOST, { reason: 'its disk is being replaced' })
  assert.ok(paused.pause)
  assert.deepEqual({ ...paused.pause, since: '' }, { by: 'anonymous', since: '', reason: 'its disk is being replaced' })
  assert.deepEqual(paused.jobs, { waiting: 4, running: 4, retrying: 0, paused: 0 })
  const why = pauseText(HOST, { ...paused.pause, sinceMs: Date.parse(paused.pause.since) })
  assert.match(
    why,
    /^the queue of registry\.example:5000 is paused by anonymous since [\d-]+ [\d:]+ UTC: its disk is being replaced$/,
  )
  assert.equal(paused.reason, why)
  const waiting = ids.filter((id) => !workers.started.includes(id))
  for (const id of waiting) assert.equal(await reasonOf(bed, id), why)
  workers.open()
  await waitFor('those that ran to end', async () => (await jobsOf(bed)).running === 0)
  const looked = await queueLooker(bed.jobs.raw, createKeys())([HOST])
  assert.deepEqual(looked.get(HOST), { takeable: 0, active: 0 }, 'nothing of it can be taken')
  // Places that were kept for a queue that starts nothing would leave these waiting.
  const others = await Promise.all(Array.from({ length: 12 }, () => addJob(bed.jobs, OTHER)))
  await waitFor('the others to end', async () => {
    const jobs = await Promise.all(others.map((id) => bed.jobs.queue.get(id)))
    return jobs.every((job) => job?.state === 'succeeded')
  })
  const late = await addJob(bed.jobs, HOST)
  assert.equal(await reasonOf(bed, late), why, 'one that comes meanwhile waits too')
  assert.equal(workers.started.length, 4)
  const again = await change(bed, 'pause', HOST, { reason: 'another' })
  assert.deepEqual(again.pause, paused.pause, 'it stays as it was')

  const going = await change(bed, 'resume')
  assert.equal(going.pause, null)
  await waitFor('all places to be taken again', () => workers.started.length === 8)
  workers.open()
  await waitFor('the last to begin', () => workers.started.length === 9)
  workers.open()
  await waitFor('all to end', async () => (await bed.app.inject(`/v1/queues/${HOST}`)).statusCode === 404)
  assert.equal((await change(bed, 'resume')).pause, null)
})

test('a registry without jobs is paused ahead, and stays so without what BullMQ keeps of its queue', async (t) => {
  const bed = await startApp(t)
  const { raw, queue } = bed.jobs
  const workers = await twoWorkers(t, bed)
  await change(bed, 'pause')
  assert.deepEqual(await raw.keys('{layerd}:bull:*'), [], 'nothing is kept for jobs that there are not')
  const listed = (await bed.app.inject('/v1/queues')).json<{ items: Queue[] }>().items
  assert.deepEqual(
    listed.map(({ host, jobs }) => [host, jobs.waiting]),
    [[HOST, 0]],
  )
  const first = await addJob(bed.jobs, HOST)
  assert.match((await reasonOf(bed, first)) ?? '', /is paused by anonymous/)
  assert.equal(await raw.hget(META, 'paused'), '1')
  await queue.cancel(first)
  // As after the day that it is kept.
  await raw.del(META)
  const second = await addJob(bed.jobs, HOST)
  assert.equal(await raw.hget(META, 'paused'), '1')
  assert.ok((await raw.ttl(META)) === -1)
  await raw.del('{layerd}:hosts:counted')
  await bed.jobs.runs.recountOpen()
  assert.ok((await bed.app.inject(`/v1/queues/${HOST}`)).json<Queue>().pause)
  await change(bed, 'resume')
  await waitFor('it to begin', () => workers.started.includes(second))
})

test('a job that a worker was handed before the pause and has not begun waits on, and is no attempt', async (t) => {
  const bed = await startApp(t)
  const { queue, runs } = bed.jobs
  const { job } = await queue.create(newJob())
  await change(bed, 'pause')
  assert.deepEqual(await runs.begin({ id: job.id, round: 1 }, 'worker-1'), { ended: true, held: true })
  const held = await queue.get(job.id)
  assert.deepEqual([held?.state, held?.attempt], ['queued', 0])
  await change(bed, 'resume')
  assert.equal((await begin(bed.jobs, job)).job.attempt, 1)
})

test('a job whose worker was lost says that it waits for its queue, and goes on with the next attempt', async (t) => {
  const bed = await startApp(t)
  const { queue, runs, clock, raw } = bed.jobs
  const { job: swept } = await queue.create(newJob())
  const { job: handed } = await queue.create(newJob())
  await runs.heartbeat('worker-1')
  const [first, second] = [await begin(bed.jobs, swept), await begin(bed.jobs, handed)]
  await change(bed, 'pause')
  assert.equal(await runs.reapAbandoned(), 0, 'its worker lives')
  // Its lock has gone, and another is handed it that asked before the pause.
  assert.deepEqual(await runs.begin({ id: handed.id, round: 1 }, 'worker-2'), { ended: true, held: true })
  await runs.forgetWorker('worker-1')
  assert.equal(await runs.reapAbandoned(), 1)
  for (const [{ id }, { epoch }] of [
    [swept, first],
    [handed, second],
  ] as const) {
    const job = await queue.get(id)
    assert.deepEqual([job?.state, job?.attempt], ['queued', 1])
    assert.match(job?.reason ?? '', /^the queue of registry\.example:5000 is paused by anonymous/)
    assert.equal(await runs.report(id, epoch, {}), 'fenced')
    assert.equal(await raw.hget(`{layerd}:job:${id}`, 'lostRuns'), '1')
  }
  assert.deepEqual(await jobsOf(bed), { waiting: 2, running: 0, retrying: 0, paused: 0 })
  clock.advance(5000)
  assert.ok((await runs.sweepOutbox()) >= 1)
  const workers = await twoWorkers(t, bed)
  await change(bed, 'resume')
  workers.open()
  for (const { id } of [swept, handed]) {
    await waitFor('it to end', async () => {
      workers.open()
      return (await queue.get(id))?.done
    })
    const ended = await queue.get(id)
    assert.deepEqual([ended?.state, ended?.attempt], ['succeeded', 2])
  }
})

test('who may change a queue: all of its registry has to be theirs, and the audit tells who did', async (t) => {
  const tokensFile = await tokensFor(t, {
    ops: 'system:admin',
    reads: 'system:read',
    whole: `system:admin repositories=${HOST}/**`,
    part: `system:admin repositories=${HOST}/team/**`,
    auditor: 'audit:read',
  })
  const bed = await startApp(t, { tokensFile })
  const asked = async (person: string, what: string, host: string, payload: object | undefined = {}) => {
    const answer = await ask(bed.app, person, { method: 'POST', url: `/v1/queues/${host}/${what}`, payload })
    return answer.statusCode === 200 ? answer.json<Queue>().pause?.by : answer.json<Problem>().code
  }
  for (const host of [HOST, OTHER, 'local']) {
    assert.equal(await asked('reads', 'pause', host), 'SCOPE_MISSING')
    assert.equal(await asked('part', 'pause', host), 'TOKEN_LIMITED')
  }
  assert.equal(await asked('whole', 'pause', 'local'), 'TOKEN_LIMITED')
  assert.equal(await asked('whole', 'pause', OTHER), 'TOKEN_LIMITED')
  assert.equal(await asked('whole', 'pause', HOST, { reason: 'a' }), 'whole')
  assert.equal(await asked('ops', 'pause', 'local'), 'ops')
  assert.equal(await asked('part', 'resume', HOST), 'TOKEN_LIMITED')
  assert.equal(await asked('ops', 'resume', HOST), undefined)
  const entries = await waitFor('the audit to tell', async () => {
    const answer = await ask(bed.app, 'auditor', { url: '/v1/audit?pageSize=100' })
    const { items } = answer.json<{
      items: { principal: string; action: string; outcome: string; target: { host?: string } }[]
    }>()
    const done = items
      .filter(({ outcome }) => outcome === 'succeeded')
      .map(({ principal, action, target }) => [principal, action, target.host])
    return done.length === 3 ? done : undefined
  })
  assert.deepEqual(entries.toReversed(), [
    ['whole', 'pauseQueue', HOST],
    ['ops', 'pauseQueue', 'local'],
    ['ops', 'resumeQueue', HOST],
  ])
})

test('what names no queue, or says too much, is refused and leaves nothing; so are too many queues', async (t) => {
  const bed = await startApp(t)
  const post = (path: string, payload: object = {}) =>
    bed.app.inject({ method: 'POST', url: `/v1/queues/${path}/pause`, payload })
  const kept = async () => (await bed.jobs.raw.keys('*')).filter((key) => !key.includes(':audit')).toSorted()
  const before = await kept()
  for (const path of [
    '..%2F..%2Fjobs',
    'a.example%2Fteam',
    '%00',
    'a%0Ab.example',
    'ä.example',
    `${'a'.repeat(4096)}.example`,
    '*',
    '%E2%80%AEa.example',
  ]) {
    const answer = await post(path)
    assert.equal(answer.statusCode, 400, path.slice(0, 40))
    assert.ok(answer.json<Problem>().detail)
  }
  for (const payload of [{ reason: 'x'.repeat(501) }, { reason: 1 }, { resaon: 'x' }, []])
    assert.equal((await post(OTHER, payload)).statusCode, 400)
  assert.deepEqual(await kept(), before)
  const text = 'a"\\}\u0000\u001b[31m\u202e \n😀'
  assert.equal((await change(bed, 'pause', OTHER, { reason: text })).pause?.reason, text)
  const fill = bed.jobs.raw.pipeline()
  for (let at = 1; at < 1000; at += 1)
    fill.hset('{layerd}:queues:paused', `r${at}.example`, '{"by":"x","sinceMs":1,"reason":null}')
  await fill.exec()
  assert.match((await post('one-more.example')).json<Problem>().detail, /^1000 queues are paused/)
})

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createJobEventReader } from '../../src/jobs/progress/events.ts'
import { initialProgress } from '../../src/jobs/record/record.ts'
import { defer } from '../helpers/cleanup.ts'
import { begin, newJob, RESULT, type TestJobs } from '../helpers/redis/jobs.ts'
import { changesOf, type FleetEvent, listBy, watchFleet } from '../helpers/streams/fleet.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { waitFor } from '../helpers/wait-for.ts'

async function start(t: TestContext, streams: { heartbeatMs?: number; tickMs?: number; stuckMs?: number } = {}) {
  const server = await startApp(t, { streams })
  const base = await server.listen()
  return { ...server, base, url: `${base}/v1/events` }
}

async function runWhole(jobs: TestJobs): Promise<string> {
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  return job.id
}

test('a stream begins with what is there, and tells each change of each job at once', async (t) => {
  const { jobs, url } = await start(t)
  const { job: first } = await jobs.queue.create(newJob())
  const watch = await watchFleet(url)
  const [snapshot] = watch.events
  assert.deepEqual(
    [snapshot?.type, snapshot?.jobs?.map(({ id, state }) => [id, state])],
    ['snapshot', [[first.id, 'queued']]],
  )
  const second = await runWhole(jobs)
  await jobs.queue.cancel(first.id)
  await jobs.queue.remove(first.id)
  await waitFor('all of it', () => watch.told().length === 5)
  assert.deepEqual(watch.told(), ['created queued', 'state running', 'end succeeded', 'end canceled', 'removed'])
  assert.deepEqual(
    changesOf(watch.events).map(({ jobId }) => jobId),
    [second, second, second, first.id, first.id],
  )
  assert.deepEqual([...listBy(watch.events)], [[second, 'succeeded']])
})

test('progress of all jobs that moved comes as one event', async (t) => {
  const { jobs, url } = await start(t, { tickMs: 50 })
  const begun = []
  for (let at = 0; at < 5; at += 1) {
    const { job } = await jobs.queue.create(newJob())
    begun.push({ id: job.id, epoch: (await begin(jobs, job)).epoch })
  }
  const watch = await watchFleet(url)
  await Promise.all(
    begun.map(({ id, epoch }, at) =>
      jobs.runs.report(id, epoch, { progress: { ...initialProgress(new Date().toISOString()), bytesDone: 100 + at } }),
    ),
  )
  const rows = () => watch.events.filter(({ type }) => type === 'progress').flatMap(({ moved = [] }) => moved)
  await waitFor('all five', () => new Set(rows().map(({ jobId }) => jobId)).size === 5)
  assert.deepEqual(
    new Map(rows().map(({ jobId, progress }) => [jobId, progress])),
    new Map(begun.map(({ id }, at) => [id, { bytesDone: 100 + at, bytesPerSecond: 0 }])),
  )
  assert.ok(watch.events.filter(({ type }) => type === 'progress').length < 5)
  assert.ok(watch.events.every(({ type, id }) => type !== 'progress' || id === undefined))
})

test('who comes back is told what changed, without gap or double, at whatever moment it was cut off, by two API processes', async (t) => {
  const { jobs, url } = await start(t)
  const events = createJobEventReader(jobs.options)
  defer(t, () => events.close())
  const other = await startApp(t, { queue: jobs.queue, events })
  const urls = [url, `${await other.listen()}/v1/events`]
  const opening = await watchFleet(url)
  opening.cut()
  const writing = Promise.all(
    [1, 2, 3].map(async () => {
      for (let at = 0; at < 20; at += 1) await runWhole(jobs)
    }),
  )
  const seen: FleetEvent[] = []
  let last = opening.lastId()
  for (let round = 0, ended = 0; ended < 60; round += 1) {
    const watch = await watchFleet(urls[round % 2] ?? url, { 'last-event-id': last ?? '' })
    const ends = () => ended + watch.events.filter(({ type }) => type === 'end').length
    await waitFor('some', () => watch.events.length > round || ends() === 60)
    watch.cut()
    await watch.ended
    ended = ends()
    seen.push(...watch.events)
    const told = changesOf(watch.events).map(({ jobId, revision }) => `${jobId} ${revision}`)
    assert.equal(new Set(told).size, told.length)
    last = watch.lastId() ?? last
  }
  await writing
  assert.ok(seen.every(({ type }) => ['created', 'state', 'end', 'progress', 'ping'].includes(type)))
  const byJob = Map.groupBy(changesOf(seen), ({ jobId }) => jobId)
  assert.equal(byJob.size, 60)
  for (const changes of byJob.values()) {
    const revisions = changes.map(({ revision = 0 }) => revision)
    // One that was ahead of its entry when the stream was cut off comes again, and is no news.
    assert.deepEqual(
      revisions,
      revisions.toSorted((a, b) => a - b),
    )
    assert.equal(changes.at(-1)?.type, 'end')
  }
})

test('a subscription that breaks is caught up on without gap or double', async (t) => {
  const { jobs, url } = await start(t)
  const watch = await watchFleet(url)
  for (let at = 0; at < 30; at += 1) {
    await runWhole(jobs)
    if (at % 10 === 5) await jobs.raw.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  }
  const ended = () => changesOf(watch.events).filter(({ type }) => type === 'end')
  await waitFor('all ends', () => ended().length >= 30)
  assert.equal(new Set(ended().map(({ jobId }) => jobId)).size, 30)
  const told = changesOf(watch.events).map(({ jobId, revision }) => `${jobId} ${revision}`)
  assert.equal(new Set(told).size, told.length)
})

test('more changes than are kept: reset, a snapshot, and on from there', async (t) => {
  const { jobs, url } = await start(t)
  const watch = await watchFleet(url)
  watch.cut()
  await runWhole(jobs)
  await jobs.raw.xtrim('{layerd}:fleet', 'MAXLEN', 1)
  const again = await watchFleet(url, { 'last-event-id': watch.lastId() ?? '' })
  await waitFor('the snapshot', () => again.events.length > 1)
  const next = await runWhole(jobs)
  await waitFor('the next job', () => listBy(again.events).get(next) === 'succeeded')
  assert.deepEqual(
    again.events.map(({ type }) => type),
    ['reset', 'snapshot', 'created', 'state', 'end'],
  )
  assert.equal(listBy(again.events).size, 2)
  // Ids that no stream of this Redis can have given.
  for (const id of ['1-1', '9999999999999-0', 'nonsense']) {
    const lost = await watchFleet(`${url}?lastEventId=${id}`)
    await waitFor('the snapshot', () => lost.events.some(({ type }) => type === 'snapshot'))
    lost.cut()
  }
})

test('filters: a job that comes in or leaves is told, one that does neither is not', async (t) => {
  const { jobs, url } = await start(t)
  const mine = await watchFleet(`${url}?state=running&label=team=a&kind=publish&registry=REGISTRY.example:5000`)
  const nothing = await watchFleet(`${url}?registry=nowhere.example`)
  const everything = await watchFleet(url)
  const run = async (labels: Record<string, string>) => {
    const { job } = await jobs.queue.create(newJob({ labels }))
    const { epoch } = await begin(jobs, job)
    await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
    return job.id
  }
  const a = await run({ team: 'a' })
  await run({ team: 'b' })
  await waitFor('all of it', () => everything.told().length === 6)
  await waitFor('what concerns the filter', () => mine.told().length === 2)
  assert.deepEqual(
    changesOf(mine.events).map(({ type, jobId, matches }) => [type, jobId, matches]),
    [
      ['state', a, true],
      ['end', a, false],
    ],
  )
  assert.equal(listBy(mine.events).size, 0)
  assert.deepEqual(
    nothing.events.map(({ type, jobs: all }) => [type, all]),
    [['snapshot', []]],
  )
})

test('a ping says where to go on, so that who is told nothing does not fall behind', async (t) => {
  const { jobs, url } = await start(t, { heartbeatMs: 30 })
  const watch = await watchFleet(`${url}?kind=copy`)
  await runWhole(jobs)
  const [[last] = []] = await jobs.raw.xrevrange('{layerd}:fleet', '+', '-', 'COUNT', 1)
  await waitFor('the newest id', () => watch.lastId() === last)
  watch.cut()
  await jobs.raw.xtrim('{layerd}:fleet', 'MAXLEN', 1)
  const again = await watchFleet(`${url}?kind=copy`, { 'last-event-id': watch.lastId() ?? '' })
  assert.equal(again.events[0]?.type, 'ping')
})

test('NDJSON, one page, and a snapshot alone', async (t) => {
  const { jobs, app, url } = await start(t)
  const get = (query = '', accept = 'application/json') =>
    app.inject({ url: `/v1/events${query}`, headers: { accept } })
  const first = (await get()).json()
  assert.deepEqual(
    first.items.map(({ type }: FleetEvent) => type),
    ['snapshot'],
  )
  const id = await runWhole(jobs)
  const page = (await get(`?lastEventId=${first.lastEventId}`)).json()
  assert.deepEqual(
    page.items.map(({ type, jobId }: FleetEvent) => [type, jobId]),
    [['end', id]],
  )
  assert.equal(page.items[0].id, page.lastEventId)
  assert.deepEqual((await get(`?lastEventId=${page.lastEventId}`)).json(), { items: [], lastEventId: page.lastEventId })
  const short = (await get(`?lastEventId=${first.lastEventId}&pageSize=1`)).json()
  assert.notEqual(short.lastEventId, page.lastEventId)
  const alone = await get('?once=true', 'application/x-ndjson')
  assert.deepEqual([alone.json().type, alone.json().jobs.length], ['snapshot', 1])
  assert.match((await get('?once=true', 'text/event-stream')).body, /^id: \d+-\d+\nevent: snapshot\ndata: \{.*\}\n\n$/)
  const response = await fetch(url, { headers: { accept: 'application/x-ndjson' } })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  const text = (await reader?.read())?.value ?? ''
  assert.equal(JSON.parse(text).type, 'snapshot')
  await reader?.cancel()
  assert.equal((await get('?state=nonsense')).statusCode, 400)
})

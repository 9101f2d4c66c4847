import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Transfer } from '../../src/jobs/model/definitions.ts'
import { isEventId, isOlderEvent } from '../../src/jobs/progress/event-id.ts'
import type { LoggedEvent } from '../../src/jobs/progress/events.ts'
import { TRANSFER_SORTS, type TransferSort } from '../../src/jobs/model/requests.ts'
import { createJobRuns } from '../../src/jobs/runs.ts'
import type { ReportAnswer, RunEvent } from '../../src/jobs/progress/reports.ts'
import { listenForSignals } from '../../src/jobs/redis/signals.ts'
import { defer } from '../helpers/cleanup.ts'
import { begin, newJob, RESULT, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'

const LOG: RunEvent = { type: 'log', level: 'info', message: 'a "quoted" line\nand another, ünïcode' }

function row(at: number, changes: Partial<Transfer> = {}): Transfer {
  const digest = `sha256:${String(at).padStart(64, '0')}`
  const fixed = {
    mediaType: 'application/octet-stream',
    size: 10,
    bytesDone: 0,
    attempt: 1,
    retryAt: null,
    error: null,
  }
  return { digest, title: `layer ${at}`, state: 'waiting', ...fixed, ...changes }
}

async function follow(jobs: TestJobs, jobId: string) {
  const seen: LoggedEvent[] = []
  let gaps = 0
  const stop = await jobs.events.subscribe(
    jobId,
    (event) => seen.push(event),
    () => (gaps += 1),
  )
  return { seen, stop, gaps: () => gaps }
}

test('events count from one without a gap, however many processes write, and are heard as they are kept', async (t) => {
  const jobs = await startJobs(t)
  const other = createJobRuns(jobs.options)
  defer(t, () => other.close())
  const { job } = await jobs.queue.create(newJob())
  const { seen } = await follow(jobs, job.id)
  const { epoch } = await begin(jobs, job)
  const writes = Array.from({ length: 100 }, (_, at) => {
    const writer = at % 2 === 0 ? jobs.runs : other
    return writer.report(job.id, epoch, { events: [LOG, { type: 'warning', code: 'W', message: String(at) }] })
  })
  await Promise.all(writes)
  await jobs.queue.cancel(job.id)
  await jobs.runs.finish(job.id, epoch, { state: 'canceled', reason: null }, { events: [LOG] })
  const kept = await jobs.events.replay(job.id, '0-0', 1000)
  assert.deepEqual(
    kept.map(({ event }) => event.seq),
    kept.map((_, at) => at + 1),
  )
  assert.equal(kept.length, 3 + 200 + 3)
  await waitFor('the last event', () => seen.length === kept.length - 1)
  assert.deepEqual(seen, kept.slice(1))
  assert.deepEqual(
    kept.filter(({ event }) => event.type === 'log').map(({ event }) => 'message' in event && event.message)[0],
    LOG.message,
  )
  assert.deepEqual(
    kept.slice(-3).map(({ event }) => event.type),
    ['log', 'state', 'end'],
  )
})

test('what a reconnect sends twice is written once', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  for (let round = 0; round < 3; round += 1) {
    jobs.redis.pause()
    const report = () => jobs.runs.report(job.id, epoch, { events: [LOG] })
    const writes: Array<Promise<ReportAnswer>> = [report(), report(), report()]
    // Redis works off the writes and then cuts the connection, so that their answers may find nobody.
    const cut = jobs.raw.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    jobs.redis.resume()
    await cut
    assert.deepEqual(await Promise.all(writes), ['ok', 'ok', 'ok'])
  }
  const kept = await waitFor('the events', () => jobs.events.replay(job.id, '0-0', 100))
  assert.equal(kept.filter(({ event }) => event.type === 'log').length, 9)
})

test('a replay goes on after the id given, in order and no more than asked', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  for (let at = 0; at < 5; at += 1) await jobs.runs.report(job.id, epoch, { events: [LOG] })
  const all = await jobs.events.replay(job.id, '0-0', 100)
  const afterThird = await jobs.events.replay(job.id, all[2]?.id ?? '', 100)
  assert.deepEqual(afterThird, all.slice(3))
  assert.deepEqual(await jobs.events.replay(job.id, all[2]?.id ?? '', 2), all.slice(3, 5))
  assert.deepEqual(await jobs.events.bounds(job.id), { first: all[0]?.id, last: all.at(-1)?.id })
  await assert.rejects(jobs.events.replay(job.id, '$', 1), { code: 'REQUEST_INVALID' })
  assert.equal(isEventId('0-0 COUNT'), false)
  assert.deepEqual(
    all.toSorted((a, b) => (isOlderEvent(a.id, b.id) ? -1 : 1)),
    all,
  )
})

test('a long job keeps its newest thousand events or so', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  for (let at = 0; at < 30; at += 1) {
    await jobs.runs.report(job.id, epoch, { events: Array.from({ length: 100 }, () => LOG) })
  }
  const kept = await jobs.events.replay(job.id, '0-0', 5000)
  assert.ok(kept.length >= 1000 && kept.length < 1300, `${kept.length} kept`)
  assert.equal(kept.at(-1)?.event.seq, 3002)
})

test('a snapshot holds the job, what moves or failed, and the id from which the stream goes on', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  const rows = Array.from({ length: 150 }, (_, at) => row(at, { state: at % 5 === 0 ? 'complete' : 'active' }))
  await jobs.runs.report(job.id, epoch, { transfers: rows, events: [LOG] })
  const snapshot = await jobs.events.snapshot(job.id)
  const bounds = await jobs.events.bounds(job.id)
  assert.equal(snapshot?.id, bounds?.last)
  assert.ok(snapshot?.event.type === 'snapshot')
  assert.equal(snapshot.event.seq, 3)
  assert.deepEqual(snapshot.event.job, await jobs.queue.get(job.id))
  assert.deepEqual(snapshot.event.transfers, rows.filter(({ state }) => state === 'active').slice(0, 100))
  assert.equal(await jobs.events.snapshot('018f0000-0000-7000-8000-000000000000'), undefined)
})

test('transfers come in the order of their first appearance, in pages that part them', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  for (let at = 0; at < 300; at += 1) await jobs.runs.report(job.id, epoch, { transfers: [row(299 - at)] })
  await jobs.runs.report(job.id, epoch, { transfers: [row(5, { state: 'complete' })] })
  const paged: Transfer[] = []
  let token: string | undefined
  do {
    const page = await jobs.queue.transfers(job.id, { size: 75, ...(token === undefined ? {} : { token }) })
    paged.push(...page.items)
    token = page.nextPageToken
  } while (token !== undefined)
  const expected = Array.from({ length: 300 }, (_, at) => row(299 - at, at === 294 ? { state: 'complete' } : {}))
  assert.deepEqual(paged, expected)
  assert.deepEqual((await begin(jobs, job)).transfers, expected)
})

test('transfers are counted by state, and found by state and title in any order', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  const rows = Array.from({ length: 700 }, (_, at) =>
    row(at, { state: at % 7 === 0 ? 'failed' : 'complete', size: (at * 37) % 101, title: `images/${at % 10}/${at}` }),
  )
  await jobs.runs.report(job.id, epoch, { transfers: rows })
  const compare: Record<TransferSort, (a: Transfer, b: Transfer) => number> = {
    added: () => 0,
    size: (a, b) => a.size - b.size,
    '-size': (a, b) => b.size - a.size || rows.indexOf(b) - rows.indexOf(a),
    title: (a, b) => (a.title < b.title ? -1 : 1),
    '-title': (a, b) => (a.title > b.title ? -1 : 1),
  }
  for (const sort of TRANSFER_SORTS) {
    const paged: Transfer[] = []
    let token: string | undefined
    do {
      const filter = { states: ['failed'] as const, q: 'IMAGES/3', sort }
      const page = await jobs.queue.transfers(job.id, { size: 4, ...(token === undefined ? {} : { token }) }, filter)
      assert.deepEqual([page.counts['failed'], page.counts['complete'], page.counts['active']], [100, 600, 0])
      paged.push(...page.items)
      token = page.nextPageToken
    } while (token !== undefined)
    const expected = rows.filter(({ state, title }) => state === 'failed' && title.startsWith('images/3'))
    assert.deepEqual(paged, expected.toSorted(compare[sort]), sort)
  }
})

test('after Redis was gone a follower is told of the gap, hears what comes, and a replay fills in the rest', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  const { seen, gaps, stop } = await follow(jobs, job.id)
  await jobs.runs.report(job.id, epoch, { events: [LOG] })
  await waitFor('the first event', () => seen.length === 1)
  const last = seen[0]?.id ?? ''
  await jobs.redis.kill()
  const meanwhile = jobs.runs.report(job.id, epoch, { events: [LOG] })
  await jobs.redis.start()
  assert.equal(await meanwhile, 'ok')
  await waitFor('the gap to be told', () => gaps() === 1)
  await jobs.runs.report(job.id, epoch, { events: [LOG] })
  await waitFor('an event after the gap', () => seen.length > 1)
  const replayed = await waitFor('a replay', () => jobs.events.replay(job.id, last, 100))
  const union = new Set([...seen, ...replayed].map(({ event }) => event.seq))
  assert.deepEqual(union, new Set([3, 4, 5]))
  await stop()
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  assert.ok(!seen.some(({ event }) => event.type === 'end'), 'who stopped hears nothing more')
})

test('a cancel, a pause and a new host wake the workers', async (t) => {
  const jobs = await startJobs(t)
  const heard: string[] = []
  let listening = false
  const stop = listenForSignals(jobs.options, {
    stop: (id, { code, details }) => heard.push(`${code} ${id} ${String(details?.['reason'])}`),
    host: (host) => heard.push(`host ${host}`),
    worker: (id) => heard.push(`worker ${id}`),
    gap: () => (listening = true),
  })
  defer(t, stop)
  await waitFor('the workers to listen', () => listening)
  const { job } = await jobs.queue.create(newJob())
  await jobs.queue.create(newJob())
  await begin(jobs, job)
  await jobs.queue.pause(job.id, { reason: 'two\nlines' })
  await jobs.queue.cancel(job.id, { reason: 'a | b' })
  await waitFor('the signals', () => heard.length === 3)
  assert.deepEqual(heard, [
    'host registry.example:5000',
    `JOB_PAUSED ${job.id} two\nlines`,
    `JOB_CANCELED ${job.id} a | b`,
  ])
})

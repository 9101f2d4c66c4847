import assert from 'node:assert/strict'
import { get } from 'node:http'
import { test } from 'node:test'
import type { JobEvent } from '../../src/jobs/model/definitions.ts'
import { begin, RESULT } from '../helpers/redis/jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { watchEvents } from '../helpers/streams/watch-events.ts'
import { log, startJob, typesOf, idsOf, jobIdsOf } from '../helpers/streams/http-events.ts'

test('a watcher gets a snapshot at once, then each event as it happens, the end, and the end of the stream', async (t) => {
  const { jobs, job, url, kept } = await startJob(t)
  const watch = await watchEvents(url)
  assert.equal(watch.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  assert.equal(watch.headers.get('cache-control'), 'no-store, no-transform')
  assert.equal(watch.headers.get('x-accel-buffering'), 'no')
  await waitFor('the snapshot', () => watch.events.length === 1)
  const [snapshot] = watch.events
  assert.ok(snapshot?.event.type === 'snapshot')
  assert.deepEqual([snapshot.event.job.id, snapshot.event.job.state, snapshot.event.transfers], [job.id, 'queued', []])

  const { epoch } = await begin(jobs, job)
  await jobs.runs.report(job.id, epoch, { events: [log('one'), { type: 'warning', code: 'W', message: 'two' }] })
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  await watch.ended
  assert.deepEqual(typesOf(watch.events), ['snapshot', 'state', 'log', 'warning', 'state', 'end'])
  // The same events, ids and bytes that the stream keeps.
  assert.deepEqual(watch.events.slice(1), (await kept()).slice(1))
})

test('after an end the last id gets a 204, an earlier one what follows it', async (t) => {
  const { jobs, job, url, kept } = await startJob(t)
  const { epoch } = await begin(jobs, job)
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  const all = await kept()
  const last = await watchEvents(url, { 'last-event-id': all.at(-1)?.id ?? '' })
  assert.equal(last.status, 204)
  assert.equal((await watchEvents(`${url}?lastEventId=${all.at(-1)?.id}`)).status, 204)
  for (const from of [0, 1]) {
    const watch = await watchEvents(`${url}?lastEventId=${all[from]?.id}`)
    await watch.ended
    assert.deepEqual(watch.events, all.slice(from + 1))
  }
  const fresh = await watchEvents(url)
  await fresh.ended
  assert.deepEqual(typesOf(fresh.events), ['snapshot', 'end'])
  assert.equal((await watchEvents(url, { 'last-event-id': fresh.lastId() ?? '' })).status, 204)
})

test('a retried job goes on in the same stream after its first end', async (t) => {
  const { jobs, job, url, kept } = await startJob(t)
  await jobs.queue.cancel(job.id)
  const first = await kept()
  await jobs.queue.retry(job.id)
  const watch = await watchEvents(url, { 'last-event-id': first[0]?.id ?? '' })
  await waitFor('the end and what follows it', () => watch.events.length === first.length)
  assert.ok(typesOf(watch.events).indexOf('end') < watch.events.length - 1)
  await jobs.queue.cancel(job.id)
  await watch.ended
  assert.deepEqual(watch.events, (await kept()).slice(1))
})

test('connections cut at any moment and taken up again give every event exactly once, in order', async (t) => {
  const { jobs, job, url, kept } = await startJob(t)
  const { epoch } = await begin(jobs, job)
  const start = (await kept())[0]?.id ?? ''
  let written = 0
  const write = async () => {
    for (; written < 400; written += 1) await jobs.runs.report(job.id, epoch, { events: [log(`event ${written}`)] })
    await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  }
  const follow = async (cutAfter: number) => {
    const seen: Array<string | undefined> = []
    let lastId = start
    for (let connections = 1; ; connections += 1) {
      const watch = await watchEvents(url, { 'last-event-id': lastId })
      if (watch.status === 204) return { seen, connections }
      await Promise.race([watch.ended, waitFor('some events', () => watch.events.length >= cutAfter)])
      watch.cut()
      await watch.ended
      seen.push(...jobIdsOf(watch.events))
      lastId = watch.lastId() ?? lastId
    }
  }
  const followers = [1, 2, 7, 50].map((cutAfter) => follow(cutAfter))
  await write()
  const expected = jobIdsOf(await kept()).slice(1)
  for (const { seen, connections } of await Promise.all(followers)) {
    assert.ok(connections > 2)
    assert.deepEqual(seen, expected)
  }
})

test('a replay has every progress event with its layers, however much it is', async (t) => {
  const { jobs, job, url, kept } = await startJob(t)
  const { epoch } = await begin(jobs, job)
  const { progress } = job
  for (let at = 1; at <= 60; at += 1) {
    const digest = `sha256:${String(at).padStart(64, '0')}`
    const transfer = {
      digest,
      title: 'x'.repeat(20_000),
      mediaType: 'x',
      size: at,
      state: 'complete',
      bytesDone: at,
    } as const
    await jobs.runs.report(job.id, epoch, {
      events: [{ type: 'progress', progress: { ...progress, bytesDone: at }, transfers: [transfer] as never }],
    })
  }
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  const all = await kept()
  const watch = await watchEvents(url, { 'last-event-id': all[0]?.id ?? '' })
  await watch.ended
  assert.deepEqual(watch.events, all.slice(1))
})

test('whoever comes in the middle of many events misses none after the snapshot', async (t) => {
  const { jobs, job, url, kept } = await startJob(t)
  const { epoch } = await begin(jobs, job)
  const watches: Array<ReturnType<typeof watchEvents>> = []
  for (let at = 0; at < 200; at += 1) {
    await jobs.runs.report(job.id, epoch, { events: [log(`event ${at}`)] })
    if (at % 5 === 0) watches.push(watchEvents(url))
  }
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  const all = await kept()
  for (const watch of await Promise.all(watches)) {
    await watch.ended
    const [snapshot, ...rest] = watch.events
    assert.equal(snapshot?.event.type, 'snapshot')
    const from = all.findIndex(({ id }) => id === snapshot.id)
    assert.equal(all[from]?.event.seq, snapshot.event.seq)
    const missing = all.slice(from + 1)
    // Who came after the end is told so; there is nothing else left to tell.
    if (missing.length === 0) assert.deepEqual(typesOf(rest), ['end'])
    else assert.deepEqual(rest, missing)
  }
})

test('an id that is no longer kept, or never was, gets a reset and a snapshot; what is no id counts as none', async (t) => {
  const { jobs, job, url, kept } = await startJob(t)
  const { epoch } = await begin(jobs, job)
  await jobs.runs.report(job.id, epoch, { events: Array.from({ length: 20 }, (_, at) => log(String(at))) })
  const [oldest] = await kept()
  await jobs.raw.xtrim(`{layerd}:job:${job.id}:events`, 'MAXLEN', 5)
  for (const id of [oldest?.id ?? '', '0-0', '9999999999999-0']) {
    const watch = await watchEvents(url, { 'last-event-id': id })
    await waitFor('reset and snapshot', () => watch.events.length === 2)
    assert.deepEqual(typesOf(watch.events), ['reset', 'snapshot'], id)
    assert.deepEqual(idsOf(watch.events), [undefined, (await kept()).at(-1)?.id])
    watch.cut()
  }
  const watch = await watchEvents(url, { 'last-event-id': 'what is this' })
  await waitFor('the snapshot', () => watch.events.length === 1)
  assert.deepEqual(typesOf(watch.events), ['snapshot'])
  watch.cut()
})

test('a job whose events have expired still gives a snapshot and its end, once', async (t) => {
  const { jobs, job, url } = await startJob(t)
  await jobs.queue.cancel(job.id)
  const last = (await jobs.events.bounds(job.id))?.last ?? ''
  await jobs.raw.del(`{layerd}:job:${job.id}:events`)
  const fresh = await watchEvents(url)
  await fresh.ended
  assert.deepEqual(typesOf(fresh.events), ['snapshot', 'end'])
  assert.equal((await watchEvents(url, { 'last-event-id': last })).status, 204)
  const behind = await watchEvents(url, { 'last-event-id': '1-1' })
  await behind.ended
  assert.deepEqual(typesOf(behind.events), ['reset', 'snapshot', 'end'])
})

test('?once=true gives the snapshot and closes', async (t) => {
  const { url, subscribers, app, job } = await startJob(t)
  const watch = await watchEvents(`${url}?once=true`)
  await watch.ended
  assert.deepEqual(typesOf(watch.events), ['snapshot'])
  assert.equal(await subscribers(), 0)
  const lines = await app.inject({
    url: `/v1/jobs/${job.id}/events?once=true`,
    headers: { accept: 'application/x-ndjson' },
  })
  assert.equal(lines.json<JobEvent>().type, 'snapshot')
})

test('Accept chooses between server-sent events, lines and one page', async (t) => {
  const { jobs, job, url, kept, app } = await startJob(t)
  await jobs.queue.cancel(job.id)
  const all = (await kept()).map(({ id, event }) => ({ id, ...event }))
  const lines = await fetch(`${url}?lastEventId=${all[0]?.id}`, { headers: { accept: 'application/x-ndjson' } })
  assert.equal(lines.headers.get('content-type'), 'application/x-ndjson; charset=utf-8')
  const parsed = (await lines.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  assert.deepEqual(parsed, all.slice(1))

  const read = async (query: string) =>
    (await app.inject({ url: `/v1/jobs/${job.id}/events${query}`, headers: { accept: 'application/json' } })).json()
  assert.deepEqual(await read(''), { items: all, lastEventId: all.at(-1)?.id })
  const first = await read('?pageSize=1')
  assert.deepEqual(first, { items: all.slice(0, 1), lastEventId: all[0]?.id })
  assert.deepEqual((await read(`?lastEventId=${first.lastEventId}`)).items, all.slice(1))
  assert.deepEqual(await read(`?lastEventId=${all.at(-1)?.id}`), { items: [] })
  for (const accept of ['*/*', 'text/event-stream', 'text/html,*/*;q=0.8']) {
    const response = await fetch(url, { headers: { accept } })
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/, accept)
    await response.text()
  }
})

test('a quiet stream shows that it lives, by comments and pings without an id', async (t) => {
  const { url } = await startJob(t, { streams: { heartbeatMs: 20 } })
  const watch = await watchEvents(url)
  await waitFor('pings', () => watch.events.filter(({ event }) => event.type === 'ping').length > 2)
  assert.deepEqual(idsOf(watch.events).slice(1, 4), [undefined, undefined, undefined])
  watch.cut()
  const raw = get(url)
  let received = ''
  raw.on('response', (response) => response.on('data', (data: Buffer) => (received += data.toString())))
  await waitFor('a comment', () => /^: /m.test(received))
  assert.match(received, /^retry: [2-6]\d{3}\n\n/)
  raw.destroy()
})

import assert from 'node:assert/strict'
import { get } from 'node:http'
import { test } from 'node:test'
import { begin, RESULT } from '../helpers/redis/jobs.ts'
import { untilServed } from '../helpers/redis/until-served.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { followEvents, watchEvents } from '../helpers/streams/watch-events.ts'
import { log, startJob, typesOf, jobIdsOf } from '../helpers/streams/http-events.ts'

test('hundreds of watchers share one subscription and leave nothing behind', async (t) => {
  const { jobs, job, url, kept, subscribers } = await startJob(t)
  const watches: Array<ReturnType<typeof followEvents>> = []
  // Not all at one moment: reader and API share this process, and Redis is given 1.5 s to answer.
  while (watches.length < 300) {
    watches.push(...Array.from({ length: 10 }, () => followEvents(url)))
    await waitFor('the snapshots', () => watches.every(({ events }) => events.length > 0))
  }
  const { epoch } = await begin(jobs, job)
  for (let at = 0; at < 50; at += 1) await jobs.runs.report(job.id, epoch, { events: [log(`event ${at}`)] })
  await waitFor('one subscription for all', async () => (await subscribers()) === 1)
  for (const watch of watches.slice(0, 100)) watch.cut()
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  const all = jobIdsOf(await untilServed(kept))
  for (const watch of watches.slice(100)) {
    await watch.ended
    const ids = jobIdsOf(watch.events)
    assert.deepEqual(ids, all.slice(all.indexOf(ids[0] ?? '')))
  }
  await waitFor('the subscription to end', async () => (await subscribers()) === 0)
})

test('a watcher that leaves ends the subscription, and the next one begins another', async (t) => {
  const { jobs, job, url, subscribers } = await startJob(t)
  for (const _ of [1, 2, 3]) {
    const watch = await watchEvents(url)
    await waitFor('the snapshot', () => watch.events.length > 0)
    assert.equal(await subscribers(), 1)
    watch.cut()
    await waitFor('the subscription to end', async () => (await subscribers()) === 0)
  }
  const watch = await watchEvents(url)
  await jobs.queue.cancel(job.id)
  await watch.ended
  assert.equal(typesOf(watch.events).at(-1), 'end')
})

test('a subscription that breaks is caught up on without a gap', async (t) => {
  const { jobs, job, url, kept } = await startJob(t)
  const watch = await watchEvents(url)
  await waitFor('the snapshot', () => watch.events.length > 0)
  const { epoch } = await begin(jobs, job)
  for (let at = 0; at < 60; at += 1) {
    await jobs.runs.report(job.id, epoch, { events: [log(`event ${at}`)] })
    if (at % 20 === 10) await jobs.raw.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  }
  await waitFor('all events', async () => watch.lastId() === (await kept()).at(-1)?.id)
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  await watch.ended
  assert.deepEqual(jobIdsOf(watch.events), jobIdsOf(await kept()))
})

test('Redis gone and back: watchers go on, or come back, without a gap', async (t) => {
  const { jobs, job, url, kept } = await startJob(t)
  const watch = await watchEvents(url)
  await waitFor('the snapshot', () => watch.events.length > 0)
  await jobs.redis.kill()
  assert.equal((await fetch(url)).status, 503)
  await jobs.redis.start()
  const { epoch } = await begin(jobs, job)
  await jobs.runs.report(job.id, epoch, { events: [log('after the restart')] })
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  await watch.ended
  const seen = jobIdsOf(watch.events)
  const again = await waitFor('the API to answer', async () => {
    const next = await watchEvents(url, { 'last-event-id': watch.lastId() ?? '' })
    return next.status === 503 ? undefined : next
  })
  await again.ended
  assert.deepEqual([...seen, ...jobIdsOf(again.events)], jobIdsOf(await kept()))
})

test('a job that is gone ends its stream', async (t) => {
  const { jobs, job, url } = await startJob(t, { streams: { heartbeatMs: 20 } })
  const watch = await watchEvents(url)
  await waitFor('the snapshot', () => watch.events.length > 0)
  await jobs.raw.del(`{layerd}:job:${job.id}`, `{layerd}:job:${job.id}:events`)
  await watch.ended
  assert.equal((await watchEvents(url)).status, 404)
})

test('an end that was not heard is found by looking at the silent job', async (t) => {
  const { jobs, job, url } = await startJob(t, { streams: { heartbeatMs: 20 } })
  const watch = followEvents(url)
  await waitFor('the snapshot', () => watch.events.length > 0)
  // What a finishing run writes, without the message to the subscribers.
  const end = { type: 'end', jobId: job.id, seq: 2, time: new Date().toISOString(), attempt: 0, job }
  await jobs.raw
    .multi()
    .hset(`{layerd}:job:${job.id}`, 'state', 'canceled', 'seq', 2)
    .xadd(`{layerd}:job:${job.id}:events`, '*', 'event', JSON.stringify(end))
    .exec()
  await watch.ended
  assert.deepEqual(watch.events.at(-1)?.event, end)
})

test('shutdown ends open streams with times of their own to come back', async (t) => {
  const { app, url } = await startJob(t)
  const streams = Array.from({ length: 20 }, () => {
    let received = ''
    const ended = new Promise<string>((resolve, reject) => {
      const request = get(url, (response) => {
        response.on('data', (data: Buffer) => (received += data.toString()))
        response.on('end', () => resolve(received))
        response.on('error', reject)
      })
      request.on('error', reject)
    })
    return { ended, received: () => received }
  })
  await waitFor('all snapshots', () => streams.every(({ received }) => received().includes('event: snapshot')))
  await app.close()
  const times = await Promise.all(streams.map(async ({ ended }) => /retry: (\d+)\n\n$/.exec(await ended)?.[1]))
  assert.ok(times.every((time) => time !== undefined))
  assert.ok(new Set(times).size > 5)
})

test('shutdown answers who waits for a job with the job as it is', async (t) => {
  const { app, url, job, subscribers } = await startJob(t)
  const waiting = fetch(url.replace('/events', ''), { headers: { prefer: 'wait=60' } })
  await waitFor('the wait to be under way', async () => (await subscribers()) === 1)
  await app.close()
  assert.deepEqual(await (await waiting).json(), job)
})

test('a reader that never reads is cut off and does not hold up the shutdown', async (t) => {
  const { app, jobs, job, url, subscribers } = await startJob(t, { streams: { stuckMs: 200 } })
  const { epoch } = await begin(jobs, job)
  const open = () =>
    new Promise<void>((resolve, reject) => {
      // A response that nobody reads: its socket fills up.
      const request = get(url, () => resolve())
      request.on('error', reject)
    })
  await open()
  const large = Array.from({ length: 20 }, () => log('x'.repeat(100_000)))
  await waitFor('the reader to be cut off', async () => {
    await jobs.runs.report(job.id, epoch, { events: large })
    return (await subscribers()) === 0
  })
  await open()
  await waitFor('the stream to be under way', async () => (await subscribers()) === 1)
  await jobs.runs.report(job.id, epoch, { events: large })
  await app.close()
})

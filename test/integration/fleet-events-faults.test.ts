import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { isAppError } from '../../src/lib/errors.ts'
import { defer } from '../helpers/cleanup.ts'
import { newJob, type TestJobs } from '../helpers/redis/jobs.ts'
import { changesOf, listBy, watchFleet } from '../helpers/streams/fleet.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { waitFor } from '../helpers/wait-for.ts'

async function start(t: TestContext, streams: { heartbeatMs?: number; tickMs?: number; stuckMs?: number } = {}) {
  let watchers = () => 0
  const observer = { watchStreams: (count: () => number) => (watchers = count), onAnswered: () => {} }
  const server = await startApp(t, {
    streams,
    observer: { ...observer, exposition: async () => ({ text: '', type: '' }) },
  })
  const base = await server.listen()
  return { ...server, base, url: `${base}/v1/events`, watchers: () => watchers() }
}

/** A client that says what it wants and reads as the test says. */
async function dial(t: TestContext, base: string, path: string): Promise<Socket> {
  const { hostname, port } = new URL(base)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.on('error', () => {})
  defer(t, () => void socket.destroy())
  socket.pause()
  socket.write(`GET ${path} HTTP/1.1\r\nhost: ${hostname}\r\naccept: text/event-stream\r\n\r\n`)
  return socket
}

const isFinished = (error: unknown) => isAppError(error) && error.code === 'JOB_FINISHED'

/** Many changes of jobs that have much to say. */
async function chatter({ queue }: TestJobs, jobs: number): Promise<string[]> {
  const ids: string[] = []
  const labels = Object.fromEntries(Array.from({ length: 32 }, (_, at) => [`label-${at}`, 'x'.repeat(250)]))
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (ids.length < jobs) {
        // A busy machine's Redis may be late.
        const made = await queue.create(newJob({ labels })).catch(() => undefined)
        if (!made) continue
        ids.push(made.job.id)
        await waitFor('the cancel', () => queue.cancel(made.job.id).catch(isFinished))
      }
    }),
  )
  return ids
}

test('a reader that takes nothing is cut off, and one that reads beside it misses nothing', async (t) => {
  const { jobs, base, url, watchers } = await start(t, { stuckMs: 300 })
  await dial(t, base, '/v1/events')
  await waitFor('the stream of the reader that does not read', () => watchers() === 1)
  const live = await watchFleet(url)
  const ids: string[] = []
  await waitFor('the end of the reader that does not read', async () => {
    ids.push(...(await chatter(jobs, 100)))
    return watchers() === 1
  })
  await waitFor('all ends', () => changesOf(live.events).filter(({ type }) => type === 'end').length === ids.length)
  const list = listBy(live.events)
  assert.ok(ids.every((id) => list.get(id) === 'canceled'))
})

test('a reader that takes a byte now and then holds a bounded number of events', async (t) => {
  const { jobs, base, watchers } = await start(t, { stuckMs: 60_000 })
  const socket = await dial(t, base, '/v1/events')
  await waitFor('the stream', () => watchers() === 1)
  const trickle = setInterval(() => socket.read(1), 20)
  defer(t, () => clearInterval(trickle))
  await waitFor('it to be sent away with more than is held for it', async () => {
    await chatter(jobs, 400)
    return watchers() === 0
  })
})

test('a reader in the middle of a replay that takes nothing is cut off', async (t) => {
  const { jobs, base, url, watchers } = await start(t, { stuckMs: 300 })
  const opening = await watchFleet(url)
  opening.cut()
  await waitFor('nobody to watch', () => watchers() === 0)
  await chatter(jobs, 800)
  await dial(t, base, `/v1/events?lastEventId=${opening.lastId()}`)
  await waitFor('the stream', () => watchers() === 1)
  await waitFor('its end', () => watchers() === 0)
})

test('10,000 jobs that end in a second: who reads is told of each, in bounded memory', async (t) => {
  const { jobs, url } = await start(t)
  const { raw } = jobs
  const live = await watchFleet(`${url}?label=burst=yes`)
  const other = await watchFleet(`${url}?label=burst=no`)
  const { job } = await jobs.queue.create(newJob({ labels: { burst: 'yes' } }))
  // As the scripts write it, and all at one moment.
  const ended = JSON.stringify({ ...job, state: 'canceled', done: true, revision: 2 })
  const ids = Array.from({ length: 10_000 }, (_, at) => `${job.id.slice(0, -5)}${String(at).padStart(5, '0')}`)
  const script = `
    for at = 2, #ARGV do
      local entry = redis.call('XADD', KEYS[1], 'MAXLEN', '~', 10000, '*', 'job', ARGV[at], 'revision', 2, 'from', 'queued')
      local job = string.gsub(ARGV[1], '"id":"[^"]*"', '"id":"' .. ARGV[at] .. '"', 1)
      redis.call('PUBLISH', KEYS[1], entry .. '|queued|[]|' .. job)
    end`
  for (let at = 0; at < ids.length; at += 1000) {
    await raw.eval(script, 1, '{layerd}:fleet', ended, ...ids.slice(at, at + 1000))
  }
  await waitFor('all of them', () => listBy(live.events).size === 10_001)
  assert.deepEqual(
    other.events.map(({ type }) => type).filter((type) => type !== 'ping'),
    ['snapshot'],
  )
  assert.ok((await raw.xlen('{layerd}:fleet')) < 10_200)
})

test('Redis gone and back: the stream goes on or comes back, and nothing is lost', async (t) => {
  const { jobs, url } = await start(t)
  const watch = await watchFleet(url)
  const before = watch.lastId() ?? ''
  await jobs.redis.kill()
  assert.equal((await fetch(url)).status, 503)
  await jobs.redis.start()
  const { job } = await waitFor('the queue', () => jobs.queue.create(newJob()).catch(() => undefined))
  const again = await waitFor('the API to answer', () =>
    watchFleet(url, { 'last-event-id': before }).catch(() => undefined),
  )
  await waitFor('the job', () => listBy(again.events).has(job.id))
  await Promise.race([watch.ended, waitFor('the job', () => listBy(watch.events).has(job.id))])
})

test('the last watcher that leaves ends the subscription, and a shutdown ends streams with a time to come back', async (t) => {
  const { jobs, url, app, base } = await start(t)
  const subscribers = async () => ((await jobs.raw.call('PUBSUB', 'NUMSUB', '{layerd}:fleet')) as [string, number])[1]
  const watches = await Promise.all([watchFleet(url), watchFleet(`${url}?kind=copy`)])
  assert.equal(await subscribers(), 1)
  for (const watch of watches) watch.cut()
  await waitFor('no subscription', async () => (await subscribers()) === 0)
  const socket = await dial(t, base, '/v1/events')
  let text = ''
  socket.on('data', (data: Buffer) => (text += data.toString()))
  socket.resume()
  await waitFor('the snapshot', () => text.includes('event: snapshot'))
  const ended = new Promise((resolve) => socket.once('end', resolve))
  await app.close()
  await ended
  const retries = [...text.matchAll(/^retry: (\d+)$/gm)].map(([, ms]) => Number(ms))
  assert.equal(retries.length, 2)
  assert.ok(retries.every((ms) => ms >= 1000 && ms <= 10_000))
})

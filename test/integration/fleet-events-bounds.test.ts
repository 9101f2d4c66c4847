import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { defer } from '../helpers/cleanup.ts'
import { newJob, type TestJobs } from '../helpers/redis/jobs.ts'
import { type FleetEvent, watchFleet } from '../helpers/streams/fleet.ts'
import { tokenLine, tokensFileWith } from '../helpers/streams/tokens.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { waitFor } from '../helpers/wait-for.ts'

const SECRET = { source: 'file:/packages/zarf-package-of-nobody-amd64-1.2.0.tar.zst', labels: { of: 'nobody' } }

/** All that Redis has, as text. */
async function everything({ raw }: TestJobs): Promise<string> {
  const keys = await raw.keys('*')
  const texts = await Promise.all(
    keys.map(async (key) => {
      const type = await raw.type(key)
      if (type === 'stream') return JSON.stringify(await raw.xrange(key, '-', '+'))
      if (type === 'hash') return JSON.stringify(await raw.hgetall(key))
      return type === 'string' ? String(await raw.get(key)) : ''
    }),
  )
  return [...keys, ...texts].join('\n')
}

test('a removed job: who saw it hears so for a while, and then nothing of it is kept', async (t) => {
  const { jobs, app, listen } = await startApp(t)
  const url = `${await listen()}/v1/events`
  const watch = await watchFleet(url)
  const last = watch.lastId() ?? ''
  watch.cut()
  const { job } = await jobs.queue.create(newJob(SECRET))
  await jobs.queue.cancel(job.id)
  await jobs.queue.remove(job.id)
  const key = `{layerd}:fleet:removed:${job.id}`
  const ttl = await jobs.raw.ttl(key)
  assert.ok(ttl > 0 && ttl <= 900)
  const headers = { accept: 'application/json' }
  const page = async () =>
    (await app.inject({ url: `/v1/events?lastEventId=${last}`, headers })).json().items as FleetEvent[]
  assert.deepEqual(
    (await page()).map(({ type, jobId }) => [type, jobId]),
    [['removed', job.id]],
  )
  // As Redis does it when its time is over.
  await jobs.raw.del(key)
  const kept = await everything(jobs)
  assert.ok(kept.includes(job.id))
  assert.ok(!/nobody/.test(kept))
  assert.deepEqual(
    (await page()).map(({ type }) => type),
    ['reset', 'snapshot'],
  )
})

test('an entry of the stream has no more than a few bytes, whatever a job holds', async (t) => {
  const { jobs } = await startApp(t)
  const labels = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`label-${at}`, 'x'.repeat(250)]))
  for (let at = 0; at < 60; at += 1) {
    const { job } = await jobs.queue.create(newJob({ labels }))
    await jobs.queue.cancel(job.id)
    await jobs.queue.remove(job.id)
  }
  const length = await jobs.raw.xlen('{layerd}:fleet')
  assert.equal(length, 180)
  const bytes = Number(await jobs.raw.call('MEMORY', 'USAGE', '{layerd}:fleet', 'SAMPLES', '0'))
  assert.ok(bytes / length < 150, `${bytes / length} bytes an entry`)
})

test('only so many different views are watched at once, and one that nobody watches has gone', async (t) => {
  const { listen } = await startApp(t, { streams: { maxViews: 2 } })
  const url = `${await listen()}/v1/events`
  await watchFleet(url)
  const copies = await watchFleet(`${url}?kind=copy&kind=pull`)
  const same = await watchFleet(`${url}?kind=pull&kind=copy`)
  const refused = await fetch(`${url}?kind=publish`, { headers: { accept: 'text/event-stream' } })
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '5'])
  assert.equal(((await refused.json()) as { code: string }).code, 'STREAMS_TOO_MANY')
  assert.equal((await fetch(`${url}?kind=publish`, { headers: { accept: 'application/json' } })).status, 200)
  copies.cut()
  await copies.ended
  await assert.rejects(watchFleet(`${url}?kind=publish`), /HTTP 429/)
  same.cut()
  await waitFor('a place', () => watchFleet(`${url}?kind=publish`).catch(() => undefined))
})

test('where callers are told apart, one of them does not take the views of all others', async (t) => {
  const tokensFile = await tokensFileWith(t, tokenLine('ada', 'jobs:read'), tokenLine('eve', 'jobs:read'))
  const { listen } = await startApp(t, { tokensFile, streams: { maxViews: 4, maxViewsOfOne: 2 } })
  const url = `${await listen()}/v1/events`
  const as = (name: string, query: string) =>
    fetch(`${url}?${query}`, { headers: { authorization: `Bearer ${name}`, accept: 'text/event-stream' } })
  const open = [await as('ada', 'kind=copy'), await as('ada', 'kind=pull'), await as('ada', 'kind=pull')]
  const refused = await as('ada', 'kind=publish')
  assert.equal(refused.status, 429)
  assert.match(((await refused.json()) as { detail: string }).detail, /2 of yours/)
  open.push(await as('eve', 'kind=publish'))
  assert.deepEqual(
    open.map(({ status }) => status),
    [200, 200, 200, 200],
  )
  for (const { body } of open) await body?.cancel()
})

test('thousands of changes at once are told in pieces, by one write each', async (t) => {
  const { jobs, listen } = await startApp(t)
  const { hostname, port } = new URL(await listen())
  const socket = connect({ host: hostname, port: Number(port) })
  defer(t, () => void socket.destroy())
  let text = ''
  socket.on('data', (data: Buffer) => (text += data.toString('latin1')))
  socket.write(`GET /v1/events HTTP/1.1\r\nhost: ${hostname}\r\naccept: text/event-stream\r\n\r\n`)
  await waitFor('the snapshot', () => text.includes('event: snapshot'))
  const { job } = await jobs.queue.create(newJob())
  const ended = JSON.stringify({ ...job, state: 'canceled', done: true })
  const script = `
    for at = 1, 5000 do
      local entry = redis.call('XADD', KEYS[1], '*', 'job', ARGV[2], 'revision', at, 'from', 'queued')
      redis.call('PUBLISH', KEYS[1], entry .. '|queued|[]|' .. ARGV[1])
    end`
  await jobs.raw.eval(script, 1, '{layerd}:fleet', ended, job.id)
  await waitFor('all of them', () => text.split('event: end').length === 5001)
  // The transfer coding has a chunk for each write.
  const writes = [...text.matchAll(/\r\n[0-9a-f]+\r\nid: /g)].length
  assert.ok(writes < 1000, `${writes} writes`)
})

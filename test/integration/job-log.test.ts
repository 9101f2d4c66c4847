import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { test } from 'node:test'
import type { JobLogLine } from '../../src/jobs/model/definitions.ts'
import { begin, newJob, PROBLEM, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'
import { act, NO_JOB, post, withPackage } from '../helpers/streams/http-jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'

async function messages(jobs: TestJobs, id: string): Promise<string[]> {
  const lines = await jobs.queue.log(id, { limit: 100_000 })
  return lines.map(({ line }) => `${line.attempt} ${line.level} ${line.message}`)
}

test("a job's log tells in words who asked what, each run, and why it ended", async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob({ principal: 'ann' }))
  const run = await begin(jobs, job)
  const log = { type: 'log', level: 'warn', message: 'HEAD is "tried" again' } as const
  await jobs.runs.report(job.id, run.epoch, { events: [log, { type: 'warning', code: 'ODD', message: 'odd' }] })
  const retryAt = new Date(Date.now() + 60_000)
  await jobs.runs.finish(job.id, run.epoch, { state: 'retrying', retryAt, error: PROBLEM }, {})
  await jobs.queue.pause(job.id, { by: 'bob', reason: 'not "now"' })
  await jobs.queue.resume(job.id, { by: 'bob' })
  await jobs.queue.cancel(job.id, { by: 'eve' })
  assert.deepEqual(await messages(jobs, job.id), [
    `0 info accepted: publish ${job.source} to ${job.destination} by ann`,
    '0 info queued',
    '1 info run 1 on worker-1',
    '1 warn HEAD is "tried" again',
    '1 warn ODD: odd',
    `1 warn retrying: the registry answered 500 (REGISTRY_SERVER_FAILED); next try at ${retryAt.toISOString()}`,
    '1 info pause by bob: not "now"',
    '1 info paused: not "now"',
    '1 info resume by bob',
    '1 info queued',
    '1 info cancel by eve',
    '1 info canceled',
  ])
  await jobs.queue.remove(job.id)
  // Those who watch all jobs are told for a while that it went.
  const left = [`{layerd}:fleet:removed:${job.id}`]
  assert.deepEqual(await jobs.raw.keys(`*${job.id}*`), left, 'the log goes with its job')
})

test('a log keeps its newest MiB, each message at most 4 KiB of whole characters', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  const message = (at: number) => `${String(at).padStart(4, '0')} ${'ä'.repeat(4000)}`
  for (let at = 0; at < 400; at += 1) {
    await jobs.runs.report(job.id, epoch, { events: [{ type: 'log', level: 'info', message: message(at) }] })
  }
  const lines = await jobs.queue.log(job.id, { limit: 100_000 })
  const bytes = lines.reduce((sum, { line }) => sum + Buffer.byteLength(JSON.stringify(line)), 0)
  assert.ok(bytes <= 1024 * 1024 && bytes > 1024 * 1024 - 8192, String(bytes))
  const last = lines.at(-1)?.line.message ?? ''
  assert.ok(last.startsWith('0399 ä') && Buffer.byteLength(last) <= 4096 + 3 && !last.includes('\ufffd'))
  assert.ok((await jobs.raw.ttl(`{layerd}:job:${job.id}:log`)) < 0, 'it goes with the job, not before')
})

test('the log over HTTP: plain lines or NDJSON, by level and time, and 404 for no job', async (t) => {
  const server = await withPackage(t)
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const { id } = (await post(server, server.body, { 'x-request-id': 'r-1', traceparent })).json<{ id: string }>()
  const { epoch } = await begin(server.jobs, { id })
  const log = { type: 'log', level: 'warn', message: 'two\nlines \u001b[2J' } as const
  await server.jobs.runs.report(id, epoch, { events: [log] })
  const read = (query: string, accept?: string) =>
    server.app.inject({ url: `/v1/jobs/${id}/logs${query}`, headers: accept === undefined ? {} : { accept } })
  const plain = await read('')
  assert.equal(plain.headers['content-type'], 'text/plain; charset=utf-8')
  assert.match(
    plain.body,
    /^\S+Z INFO {2}accepted: publish .* by anonymous\n\S+ INFO {2}queued\n\S+ INFO {2}run 1 on worker-1\n/,
  )
  assert.match(plain.body, /WARN {2}two lines {2}\[2J\n$/)
  const json = await read('?level=warn', 'application/x-ndjson')
  const lines = json.body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as JobLogLine)
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message]),
    [['warn', log.message]],
  )
  assert.equal((await read('?since=2999-01-01T00:00:00Z')).body, '')
  assert.equal((await read('', 'text/html')).statusCode, 406)
  assert.equal((await read('?level=loud')).statusCode, 400)
  assert.equal((await server.app.inject(`/v1/jobs/${NO_JOB}/logs`)).statusCode, 404)
  const job = (await server.app.inject(`/v1/jobs/${id}`)).json<Record<string, unknown>>()
  assert.deepEqual([job['principal'], job['requestId'], job['traceparent']], ['anonymous', 'r-1', traceparent])
  const found = async (query: string) =>
    (await server.app.inject(`/v1/jobs?${query}`)).json<{ items: unknown[] }>().items.length
  for (const query of [
    'requestId=r-1',
    'principal=anonymous',
    `traceparent=${traceparent}`,
    'traceparent=0af7651916cd43dd8448eb211c80319c',
    'q=P.TAR',
  ]) {
    assert.equal(await found(query), 1, query)
  }
  for (const query of [
    'requestId=r-2',
    'principal=ann',
    'traceparent=1',
    'q=nothing',
    'errorCode=ODD',
    'sort=endedAt',
  ]) {
    assert.equal(await found(query), 0, query)
  }
})

test('a followed log goes on until the job has ended', async (t) => {
  const server = await withPackage(t)
  const base = await server.listen()
  const { id } = (await post(server, server.body)).json<{ id: string }>()
  const response = await fetch(`${base}/v1/jobs/${id}/logs?follow=true`)
  const seen: string[] = []
  const reading = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) seen.push(decoder.decode(chunk as Uint8Array))
  })()
  await waitFor('what is there', () => seen.join('').includes('queued'))
  const { epoch } = await begin(server.jobs, { id })
  await waitFor('what comes', () => seen.join('').includes('run 1 on worker-1'))
  await act(server, `${id}/cancel`)
  await waitFor('what comes', () => seen.join('').includes('canceling'))
  await server.jobs.runs.finish(id, epoch, { state: 'canceled', reason: null }, {})
  await reading
  assert.match(seen.join(''), /cancel by anonymous\n\S+ INFO {2}canceling\n\S+ INFO {2}canceled\n$/)
})

test('a shutdown ends a followed log and its connection, though the client would keep that', async (t) => {
  const server = await withPackage(t)
  const { id } = (await post(server, server.body)).json<{ id: string }>()
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  const asked = get(`${await server.listen()}/v1/jobs/${id}/logs?follow=true`, { agent })
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  await once(response, 'data')
  response.resume()
  const closed = server.app.close()
  await waitFor('the connection to end', () => asked.socket?.destroyed === true)
  await closed
})

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { ANONYMOUS } from '../../src/access/principal.ts'
import type { Job, Problem, Transfer } from '../../src/jobs/model/definitions.ts'
import { type TestApp } from '../helpers/streams/http-app.ts'
import { begin, PROBLEM, RESULT } from '../helpers/redis/jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { NO_JOB, withPackage, post, act } from '../helpers/streams/http-jobs.ts'

test('a job that has not changed is not sent again', async (t) => {
  const server = await withPackage(t)
  const job = (await post(server, server.body)).json<Job>()
  const url = `/v1/jobs/${job.id}`
  const first = await server.app.inject(url)
  const etag = String(first.headers.etag)
  assert.equal(etag, `"r${job.revision}"`)
  for (const known of [etag, `W/${etag}`, `"r0", ${etag}`, '*']) {
    const response = await server.app.inject({ url, headers: { 'if-none-match': known } })
    assert.deepEqual([response.statusCode, response.body, response.headers.etag], [304, '', etag], known)
  }
  await begin(server.jobs, job)
  const changed = await server.app.inject({ url, headers: { 'if-none-match': etag } })
  assert.deepEqual([changed.statusCode, changed.json<Job>().state], [200, 'running'])
  assert.notEqual(changed.headers.etag, etag)
})

test('Prefer: wait answers when the job ends, or when it changed', async (t) => {
  const server = await withPackage(t)
  const { app, jobs } = server
  const waiting = post(server, server.body, { prefer: 'wait=600' })
  const created = await waitForOne(server)
  const url = `/v1/jobs/${created.id}`
  const changed = app.inject({ url, headers: { prefer: 'wait=60', 'if-none-match': `"r${created.revision}"` } })
  const ended = app.inject({ url, headers: { prefer: 'wait=60' } })
  const { epoch } = await begin(jobs, created)
  assert.equal((await changed).json<Job>().state, 'running')
  await jobs.runs.finish(created.id, epoch, { state: 'succeeded', result: RESULT })
  assert.equal((await ended).json<Job>().state, 'succeeded')
  const answer = await waiting
  assert.deepEqual([answer.statusCode, answer.json<Job>().state], [202, 'succeeded'])
  assert.equal(answer.headers['preference-applied'], 'wait=60')
  assert.deepEqual(answer.json<Job>().result, RESULT)
})

test('Prefer: wait gives up after its seconds, and at once for a job that is not there', async (t) => {
  const server = await withPackage(t)
  const job = (await post(server, server.body)).json<Job>()
  const response = await server.app.inject({ url: `/v1/jobs/${job.id}`, headers: { prefer: 'wait=1' } })
  assert.deepEqual([response.statusCode, response.json<Job>().state], [200, 'queued'])
  const missing = await server.app.inject({ url: `/v1/jobs/${NO_JOB}`, headers: { prefer: 'wait=60' } })
  assert.equal(missing.statusCode, 404)
})

test('cancel, retry and delete follow the state, and repeat without harm', async (t) => {
  const server = await withPackage(t)
  const { app, jobs } = server
  const job = (await post(server, server.body)).json<Job>()
  const codeOf = (response: { body: string; statusCode: number }) => [
    response.statusCode,
    (JSON.parse(response.body) as Problem).code,
  ]

  assert.deepEqual(codeOf(await app.inject({ method: 'DELETE', url: `/v1/jobs/${job.id}` })), [409, 'JOB_NOT_FINISHED'])
  assert.deepEqual(codeOf(await act(server, `${job.id}/retry`)), [409, 'JOB_NOT_FINISHED'])
  for (const _ of ['first', 'again']) {
    const canceled = await act(server, `${job.id}/cancel`, { reason: 'no longer needed' })
    assert.deepEqual([canceled.statusCode, canceled.json<Job>().state], [200, 'canceled'])
    assert.equal(canceled.json<Job>().reason, 'no longer needed')
  }
  const retried = await act(server, `${job.id}/retry`)
  assert.deepEqual([retried.statusCode, retried.json<Job>().state], [202, 'queued'])
  assert.equal(retried.headers.location, `/v1/jobs/${job.id}`)

  const { epoch } = await begin(jobs, job, 2)
  for (const _ of ['first', 'again']) {
    const canceling = await act(server, `${job.id}/cancel`)
    assert.deepEqual([canceling.statusCode, canceling.json<Job>().state], [202, 'canceling'])
  }
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  const late = await act(server, `${job.id}/cancel`)
  assert.deepEqual(codeOf(late), [409, 'JOB_FINISHED'])
  assert.equal((late.json<Problem>().details?.['job'] as Job | undefined)?.state, 'succeeded')
  assert.deepEqual(codeOf(await act(server, `${job.id}/retry`)), [409, 'JOB_FINISHED'])

  assert.equal((await app.inject({ method: 'DELETE', url: `/v1/jobs/${job.id}` })).statusCode, 204)
  for (const response of [
    await app.inject(`/v1/jobs/${job.id}`),
    await app.inject({ method: 'DELETE', url: `/v1/jobs/${job.id}` }),
    await app.inject(`/v1/jobs/${job.id}/transfers`),
    await app.inject(`/v1/jobs/${job.id}/events`),
    await act(server, `${job.id}/cancel`),
    await act(server, `${job.id}/retry`),
    await act(server, 'no-id-at-all/cancel'),
  ]) {
    assert.deepEqual(codeOf(response), [404, 'JOB_NOT_FOUND'])
  }
})

test('actions take an empty body and no unknown field', async (t) => {
  const server = await withPackage(t)
  const { id } = (await post(server, server.body)).json<Job>()
  const wrong = await act(server, `${id}/cancel`, { discardPartial: true })
  assert.deepEqual([wrong.statusCode, wrong.json<Problem>().errors?.[0]?.pointer], [400, '/discardPartial'])
  assert.equal((await act(server, `${id}/retry`, { force: true })).statusCode, 400)
  const url = `/v1/jobs/${id}/cancel`
  const bare = await server.app.inject({ method: 'POST', url, headers: { 'content-type': 'application/json' } })
  assert.equal(bare.statusCode, 200)
})

test('a failed job tells its error as it happened', async (t) => {
  const server = await withPackage(t)
  const job = (await post(server, server.body)).json<Job>()
  const { epoch } = await begin(server.jobs, job)
  const error = { ...PROBLEM, upstream: { registry: 'r', status: 500 }, details: { deep: { list: [1, 'x', null] } } }
  await server.jobs.runs.finish(job.id, epoch, { state: 'failed', error })
  const answered = (await server.app.inject(`/v1/jobs/${job.id}`)).json<Job>()
  assert.deepEqual([answered.state, answered.done, answered.error], ['failed', true, error])
})

test('transfers come in pages, in their order', async (t) => {
  const server = await withPackage(t)
  const { app, jobs } = server
  const job = (await post(server, server.body)).json<Job>()
  const { epoch } = await begin(jobs, job)
  const transfers: Transfer[] = Array.from({ length: 5 }, (_, at) => ({
    digest: `sha256:${String(at).repeat(64)}`,
    title: `layer ${at}`,
    mediaType: 'application/octet-stream',
    size: 10,
    state: at === 3 ? 'failed' : 'active',
    bytesDone: at,
    attempt: 1,
    retryAt: null,
    error: at === 3 ? PROBLEM : null,
  }))
  await jobs.runs.report(job.id, epoch, { transfers })
  const first = await app.inject(`/v1/jobs/${job.id}/transfers?pageSize=3`)
  const page = first.json<{ items: Transfer[]; nextPageToken: string }>()
  const second = await app.inject(String(/^<(.+)>/.exec(String(first.headers.link))?.[1]))
  assert.deepEqual([...page.items, ...second.json<{ items: Transfer[] }>().items], transfers)
  assert.equal(second.headers.link, undefined)
  const accept = 'application/x-ndjson'
  const all = await app.inject({ url: `/v1/jobs/${job.id}/transfers?pageSize=3`, headers: { accept } })
  const rows = all.body.split('\n').map((line) => line && (JSON.parse(line) as Transfer))
  assert.deepEqual([all.headers['content-type'], rows], [accept, [...transfers, '']])
  const some = await app.inject({ url: `/v1/jobs/${job.id}/transfers?state=failed`, headers: { accept } })
  assert.deepEqual(JSON.parse(some.body), transfers[3])
  const none = await app.inject({ url: `/v1/jobs/${randomUUID()}/transfers`, headers: { accept } })
  assert.equal(none.json<Problem>().code, 'JOB_NOT_FOUND')
})

test('Redis gone while a job is submitted: 503 and no job; afterwards it goes on', async (t) => {
  const server = await withPackage(t)
  await server.jobs.redis.kill()
  const refused = await post(server, server.body)
  assert.deepEqual([refused.statusCode, refused.json<Problem>().code], [503, 'QUEUE_UNAVAILABLE'])
  assert.ok(refused.headers['retry-after'])
  await server.jobs.redis.start()
  await waitFor('the queue to come back', async () => (await post(server, server.body)).statusCode === 202)
  assert.equal((await server.app.inject('/v1/jobs')).json<{ items: Job[] }>().items.length, 1)
})

async function waitForOne({ jobs }: TestApp): Promise<Job> {
  return waitFor('the job to be there', async () => (await jobs.queue.list({}, { size: 1 }, ANONYMOUS)).items[0])
}

import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { runCommand } from '../helpers/processes/cli-program.ts'
import type { Job, Problem } from '../../src/jobs/model/definitions.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'
import { begin, newJob, RESULT } from '../helpers/redis/jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { watchEvents } from '../helpers/streams/watch-events.ts'

const NO_JOB = '01900000-0000-7000-8000-000000000000'

async function act({ app }: TestApp, path: string, payload: object = {}, headers: Record<string, string> = {}) {
  const response = await app.inject({ method: 'POST', url: `/v1/jobs/${path}`, headers, payload })
  return { status: response.statusCode, headers: response.headers, body: response.json<Job & Problem>() }
}

test('pause and resume answer 202 with the job, repeat without harm, and refuse what has ended', async (t) => {
  const server = await startApp(t)
  const { id } = (await server.jobs.queue.create(newJob())).job
  for (const _ of ['first', 'again']) {
    const { status, headers, body } = await act(server, `${id}/pause`, { reason: 'lunch' })
    assert.deepEqual([status, body.state, body.reason, headers.location], [202, 'paused', 'lunch', `/v1/jobs/${id}`])
  }
  const listed = await server.app.inject('/v1/jobs?state=paused')
  assert.deepEqual(
    listed.json<{ items: Job[] }>().items.map((job) => job.id),
    [id],
  )
  for (const _ of ['first', 'again']) {
    const { status, body } = await act(server, `${id}/resume`)
    assert.deepEqual([status, body.state, body.reason], [202, 'queued', 'no worker is running'])
  }
  assert.deepEqual((await act(server, `${id}/pause`, { why: 'x' })).body.errors?.[0]?.pointer, '/why')
  assert.equal((await act(server, `${id}/pause`)).body.state, 'paused')
  assert.equal((await act(server, `${id}/cancel`)).body.state, 'canceled')
  for (const verb of ['pause', 'resume']) {
    const late = await act(server, `${id}/${verb}`)
    assert.deepEqual([late.status, late.body.code], [409, 'JOB_FINISHED'])
    assert.equal((late.body.details?.['job'] as Job | undefined)?.state, 'canceled')
    assert.equal((await act(server, `${NO_JOB}/${verb}`)).status, 404)
  }
})

test('a resume takes new credentials, for the registry of the job alone', async (t) => {
  const server = await startApp(t)
  const { id } = (await server.jobs.queue.create(newJob())).job
  await act(server, `${id}/pause`)
  const header = (auth: object) => ({ 'x-registry-auth': Buffer.from(JSON.stringify(auth)).toString('base64url') })
  const auth = { username: 'me', password: 'new', serveraddress: 'other.example' }
  assert.equal((await act(server, `${id}/resume`, {}, header(auth))).body.code, 'CREDENTIALS_INVALID')
  await act(server, `${id}/resume`, {}, header({ ...auth, serveraddress: 'registry.example:5000' }))
  assert.equal((await begin(server.jobs, { id }, 2)).credentials?.password, 'new')
})

test('who watches a job stays through its pause, and who waits for its end is answered when the time is over', async (t) => {
  const server = await startApp(t, { streams: { heartbeatMs: 50 } })
  const base = await server.listen()
  const { id } = (await server.jobs.queue.create(newJob())).job
  const watch = await watchEvents(`${base}/v1/jobs/${id}/events`)
  await waitFor('the snapshot', () => watch.events.length > 0)
  await act(server, `${id}/pause`)
  const waited = await server.app.inject({ url: `/v1/jobs/${id}`, headers: { prefer: 'wait=1' } })
  assert.equal(waited.json<Job>().state, 'paused')
  await act(server, `${id}/resume`)
  const { epoch } = await begin(server.jobs, { id }, 2)
  await server.jobs.runs.finish(id, epoch, { state: 'succeeded', result: RESULT })
  await watch.ended
  const told = watch.events.flatMap(({ event }) => (event.type === 'state' ? [event.job.state] : []))
  assert.deepEqual(told, ['paused', 'queued', 'running', 'succeeded'])
  assert.equal(watch.events.at(-1)?.event.type, 'end')
})

test('the command line pauses and resumes a job', async (t) => {
  const server = await startApp(t)
  const url = await server.listen()
  const { id } = (await server.jobs.queue.create(newJob())).job
  const stdout = new PassThrough()
  const terminal = {
    stdout,
    stderr: stdout,
    stdin: (async function* () {})(),
    cwd: '/',
    env: { url, token: undefined },
    onInterrupt: () => () => undefined,
  }
  for (const command of ['pause', 'resume']) assert.equal(await runCommand([command, id], terminal), 0)
  await begin(server.jobs, { id }, 2)
  assert.equal(await runCommand(['pause', id], terminal), 0)
  assert.equal(String(stdout.read()), `${id} paused\n${id} queued\n${id} running (pausing)\n`)
  assert.equal(await runCommand(['pause', NO_JOB], terminal), 1)
})

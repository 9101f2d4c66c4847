import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Job, Problem } from '../../src/jobs/model/definitions.ts'
import { begin, newJob, RESULT } from '../helpers/redis/jobs.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'
import { NO_JOB } from '../helpers/streams/http-jobs.ts'
import { bearer, tokensFor } from '../helpers/streams/principals.ts'

const JOBS = 'jobs:read,jobs:write,jobs:cancel'
const PEOPLE = {
  ann: JOBS,
  bob: JOBS,
  /** Was given the repositories that jobs are about here. */
  covers: `${JOBS} repositories=registry.example:5000/team/**`,
  /** Was given one of them, and so no job whose repository is not known yet. */
  narrow: `${JOBS} repositories=registry.example:5000/team/nemo`,
  auditor: `${JOBS},system:read`,
  admin: `${JOBS},system:admin`,
  root: '*',
} as const

interface Call {
  method: 'GET' | 'HEAD' | 'POST' | 'DELETE'
  path: string
  headers?: Record<string, string>
  payload?: object
}

/** Every way to say something about one job, and some that other checks would refuse first. */
const LOOKS: Call[] = [
  { method: 'GET', path: '' },
  { method: 'HEAD', path: '' },
  { method: 'GET', path: '', headers: { prefer: 'wait=1' } },
  { method: 'GET', path: '', headers: { 'if-none-match': '"r1", "r2", "r3", "r4", "r5"' } },
  { method: 'GET', path: '', headers: { 'if-none-match': '*', prefer: 'wait=1' } },
  { method: 'GET', path: '/transfers' },
  { method: 'GET', path: '/transfers?pageToken=bm9uZQ' },
  { method: 'GET', path: '/events', headers: { accept: 'application/json' } },
  { method: 'GET', path: '/events', headers: { accept: 'text/event-stream', 'last-event-id': '1-1' } },
  { method: 'GET', path: '/events?once=true', headers: { accept: 'text/event-stream' } },
  { method: 'GET', path: '/logs' },
  { method: 'GET', path: '/logs?follow=true' },
  { method: 'GET', path: '/trace.har' },
]
const BAD_AUTH = { 'x-registry-auth': 'not base64url!' }
const CHANGES: Call[] = [
  { method: 'POST', path: '/cancel', payload: {} },
  { method: 'POST', path: '/pause', payload: {} },
  { method: 'POST', path: '/retry' },
  { method: 'POST', path: '/retry', headers: BAD_AUTH },
  { method: 'POST', path: '/resume' },
  { method: 'POST', path: '/resume', headers: BAD_AUTH },
  { method: 'DELETE', path: '' },
]

async function start(t: TestContext): Promise<TestApp> {
  return await startApp(t, { tokensFile: await tokensFor(t, PEOPLE), kinds: new Set(['publish', 'pull']) })
}

async function call({ app }: TestApp, person: string, id: string, { method, path, headers, payload }: Call) {
  const url = `/v1/jobs/${id}${path}`
  return await app.inject({ method, url, headers: { ...bearer(person), ...headers }, ...(payload ? { payload } : {}) })
}

/** All that a client gets, but for the id that it named and what differs in every answer. */
async function answered(server: TestApp, person: string, id: string, ask: Call) {
  const response = await call(server, person, id, ask)
  const { date: _date, 'x-request-id': requestId, ...headers } = response.headers
  const body = response.body.replaceAll(id, 'ID').replaceAll(String(requestId), 'REQUEST')
  return { status: response.statusCode, headers, body }
}

/** One of ann's in each condition that calls answer differently to. */
async function jobsOfAnn({ jobs }: TestApp): Promise<string[]> {
  const made = async () => (await jobs.queue.create(newJob({ principal: 'ann' }))).job
  const [queued, running, paused, canceled, succeeded] = [
    await made(),
    await made(),
    await made(),
    await made(),
    await made(),
  ]
  await begin(jobs, running)
  await jobs.queue.pause(paused.id)
  await jobs.queue.cancel(canceled.id)
  const { epoch } = await begin(jobs, succeeded)
  await jobs.runs.finish(succeeded.id, epoch, { state: 'succeeded', result: RESULT })
  return [queued, running, paused, canceled, succeeded].map(({ id }) => id)
}

test('a job of another is in every way one that is not there', async (t) => {
  const server = await start(t)
  const ids = await jobsOfAnn(server)
  const before = await Promise.all(ids.map((id) => server.jobs.queue.get(id)))
  for (const ask of [...LOOKS, ...CHANGES]) {
    const what = JSON.stringify(ask)
    const absent = await answered(server, 'bob', NO_JOB, ask)
    assert.equal(absent.status, 404, what)
    if (ask.method !== 'HEAD') assert.equal((JSON.parse(absent.body) as Problem).code, 'JOB_NOT_FOUND', what)
    for (const id of ids) assert.deepEqual(await answered(server, 'bob', id, ask), absent, what)
  }
  for (const id of [...ids, NO_JOB]) {
    const text = await answered(server, 'bob', id.toUpperCase(), { method: 'GET', path: '' })
    assert.equal(text.status, 404)
  }
  assert.deepEqual(await Promise.all(ids.map((id) => server.jobs.queue.get(id))), before, 'nothing was changed')
})

test('a job shows to its owner, to whose token was given its repositories, and to those who read the system', async (t) => {
  const server = await start(t)
  const { queue, runs } = server.jobs
  const { job } = await queue.create(newJob({ principal: 'ann' }))
  const seenBy = async () => {
    const seen = []
    for (const person of Object.keys(PEOPLE)) {
      const codes = await Promise.all(
        LOOKS.filter(
          ({ path, headers }) =>
            !/follow|trace|pageToken/.test(path) && (!headers || headers['accept']) && !headers?.['last-event-id'],
        ).map(async (ask) => (await call(server, person, job.id, ask)).statusCode),
      )
      assert.ok(new Set(codes).size === 1, `${person} gets ${codes.join(' ')}`)
      if (codes[0] === 200) seen.push(person)
    }
    return seen
  }
  assert.deepEqual(await seenBy(), ['ann', 'covers', 'auditor', 'admin', 'root'])
  const { epoch } = await begin(server.jobs, job)
  await runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  assert.deepEqual(
    await seenBy(),
    ['ann', 'covers', 'narrow', 'auditor', 'admin', 'root'],
    'its repository is known now',
  )
})

test('of two repositories that a job is about a token has to be given both', async (t) => {
  const server = await start(t)
  const from = (repository: string) =>
    newJob({ kind: 'copy', principal: 'ann', source: `oci://registry.example:5000/${repository}:1` })
  const { job: within } = await server.jobs.queue.create(from('team/sub/nemo'))
  const { job: beyond } = await server.jobs.queue.create(from('other/nemo'))
  const local = newJob({ kind: 'verify', principal: 'ann', destination: null, registries: [], queueHost: 'local' })
  const { job: nowhere } = await server.jobs.queue.create(local)
  const codes = await Promise.all(
    [within, beyond, nowhere].map(
      async ({ id }) => (await call(server, 'covers', id, { method: 'GET', path: '' })).statusCode,
    ),
  )
  assert.deepEqual(codes, [200, 404, 404])
})

test('who sees a job and neither owns nor covers it changes it with system:admin alone', async (t) => {
  const server = await start(t)
  const ids = await jobsOfAnn(server)
  const before = await Promise.all(ids.map((id) => server.jobs.queue.get(id)))
  for (const ask of CHANGES) {
    for (const id of ids) {
      const refused = await call(server, 'auditor', id, ask)
      const { code, details } = refused.json<Problem>()
      assert.deepEqual([refused.statusCode, code, details], [403, 'SCOPE_MISSING', { scope: 'system:admin' }])
    }
  }
  assert.deepEqual(await Promise.all(ids.map((id) => server.jobs.queue.get(id))), before)
  for (const person of ['ann', 'covers', 'admin', 'root'] satisfies Array<keyof typeof PEOPLE>) {
    const { job } = await server.jobs.queue.create(newJob({ principal: 'ann' }))
    const steps = ['/pause', '/resume', '/cancel', '/retry', '/cancel'].map((path) => ({
      method: 'POST' as const,
      path,
      payload: {},
    }))
    for (const ask of steps)
      assert.ok((await call(server, person, job.id, ask)).statusCode < 300, `${person} ${ask.path}`)
    assert.equal((await call(server, person, job.id, { method: 'DELETE', path: '' })).statusCode, 204, person)
  }
})

test('who lets a job go on needs what who makes one needs, and passes on its limits', async (t) => {
  const people = {
    ann: JOBS,
    deployer: 'jobs:read,deploy,system:admin',
    pulls: `${PEOPLE.covers} kinds=pull`,
    elsewhere: '* repositories=registry.example:5000/other/**',
    covers: PEOPLE.covers,
  }
  const server = await startApp(t, { tokensFile: await tokensFor(t, people), kinds: new Set(['publish']) })
  const { queue } = server.jobs
  const { job } = await queue.create(newJob({ principal: 'ann', source: `upload:${NO_JOB}` }))
  const { job: file } = await queue.create(newJob({ principal: 'ann' }))
  for (const { id } of [job, file]) await queue.cancel(id)
  const retry = async (person: string, id: string) => {
    const response = await call(server, person, id, { method: 'POST', path: '/retry' })
    return [response.statusCode, response.json<Problem>().code]
  }
  assert.deepEqual(await retry('ann', job.id), [403, 'SCOPE_MISSING'], 'without uploads:write')
  assert.deepEqual(await retry('deployer', file.id), [403, 'SCOPE_MISSING'], 'without jobs:write')
  assert.deepEqual(await retry('pulls', file.id), [403, 'TOKEN_LIMITED'])
  assert.deepEqual(await retry('elsewhere', file.id), [404, 'JOB_NOT_FOUND'])
  const { job: own } = await queue.create(newJob({ principal: 'elsewhere' }))
  await queue.cancel(own.id)
  assert.deepEqual(await retry('elsewhere', own.id), [403, 'TOKEN_LIMITED'])
  assert.deepEqual(await retry('covers', file.id), [202, undefined])
  assert.deepEqual((await begin(server.jobs, file, 2)).limits, [{ repositories: ['registry.example:5000/team/**'] }])
})

test('a key of one caller replays no job of another', async (t) => {
  const server = await start(t)
  const payload = { kind: 'pull', source: 'oci://registry.example:5000/team/nemo:1' }
  const post = async (person: string) => {
    const headers = { ...bearer(person), 'idempotency-key': 'one' }
    return await server.app.inject({
      method: 'POST',
      url: '/v1/jobs',
      headers,
      payload: { ...payload, destination: `file:${server.root}/` },
    })
  }
  const [ann, again, bob] = [await post('ann'), await post('ann'), await post('bob')]
  assert.deepEqual([ann.statusCode, again.statusCode, bob.statusCode], [202, 202, 202])
  assert.equal(again.json<Job>().id, ann.json<Job>().id)
  assert.notEqual(bob.json<Job>().id, ann.json<Job>().id)
  assert.equal(bob.headers['idempotency-replayed'], undefined)
})

test('a job from before there were owners belongs to anonymous', async (t) => {
  const server = await start(t)
  const { job } = await server.jobs.queue.create(newJob())
  await server.jobs.raw.hdel(`{layerd}:job:${job.id}`, 'principal', 'limits')
  const codes: Record<string, number> = {}
  for (const person of Object.keys(PEOPLE)) {
    codes[person] = (await call(server, person, job.id, { method: 'GET', path: '' })).statusCode
  }
  assert.deepEqual(codes, { ann: 404, bob: 404, covers: 200, narrow: 404, auditor: 200, admin: 200, root: 200 })
  assert.equal((await call(server, 'root', job.id, { method: 'GET', path: '' })).json<Job>().principal, 'anonymous')
})

import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { Job, Problem, Transfer } from '../../src/jobs/model/definitions.ts'
import { startApp, type TestApp } from '../helpers/http-app.ts'
import { begin, PROBLEM, RESULT } from '../helpers/jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'

const DESTINATION = 'oci://registry.example:5000/team'
const NO_JOB = '01900000-0000-7000-8000-000000000000'

interface JobPage {
  items: Job[]
  nextPageToken?: string
}

async function withPackage(t: Parameters<typeof startApp>[0], changes: Parameters<typeof startApp>[1] = {}) {
  const server = await startApp(t, changes)
  await writeFile(join(server.root, 'p.tar.zst'), 'bytes')
  return { ...server, body: { kind: 'publish', source: `file:${server.root}/p.tar.zst`, destination: DESTINATION } }
}

function post({ app }: TestApp, payload: object, headers: Record<string, string> = {}) {
  return app.inject({ method: 'POST', url: '/v1/jobs', headers, payload })
}

function act({ app }: TestApp, path: string, payload: object = {}, headers: Record<string, string> = {}) {
  return app.inject({ method: 'POST', url: `/v1/jobs/${path}`, headers, payload })
}

test('an accepted job is answered whole, with where it is, and kept', async (t) => {
  const server = await withPackage(t)
  const options = { tag: '1.2.0', concurrency: 3 }
  const response = await post(server, { ...server.body, options, labels: { env: 'dev', 'team/x': '' } })
  assert.equal(response.statusCode, 202)
  const job = response.json<Job>()
  assert.equal(response.headers.location, `/v1/jobs/${job.id}`)
  assert.ok(Number(response.headers['retry-after']) > 0)
  const { kind, source, destination, state, done, labels } = job
  assert.deepEqual(
    { kind, source, destination, state, done, labels, options: job.options },
    { ...server.body, state: 'queued', done: false, labels: { env: 'dev', 'team/x': '' }, options },
  )
  assert.deepEqual((await server.app.inject(`/v1/jobs/${job.id}`)).json(), job)
  assert.deepEqual(await server.jobs.queue.get(job.id), job)
  assert.deepEqual(await server.jobs.runs.hosts(), [{ host: 'registry.example:5000', openJobs: 1 }])
})

test('what can be known wrong beforehand is refused by name of the field, and makes no job', async (t) => {
  const server = await withPackage(t)
  const { root, body } = server
  await mkdir(join(root, 'directory.d'))
  await writeFile(join(root, 'p.zip'), '')
  await writeFile(join(root, '..', 'outside.tar'), '')
  await symlink(join(root, '..', 'outside.tar'), join(root, 'leak.tar'))
  const cases: Array<[changes: object, status: number, code: string, pointer: string]> = [
    [{ kind: 'pull' }, 422, 'JOB_KIND_UNSUPPORTED', '/kind'],
    [{ kind: 'steal' }, 400, 'BODY_INVALID', '/kind'],
    [{ priority: 1 }, 400, 'BODY_INVALID', '/priority'],
    [{ dryRun: true }, 400, 'BODY_INVALID', '/dryRun'],
    [{ options: { architecture: 'amd64' } }, 400, 'BODY_INVALID', '/options/architecture'],
    [{ options: { tag: 'a+b' } }, 422, 'TAG_INVALID', '/options/tag'],
    [{ destination: undefined }, 400, 'BODY_INVALID', '/destination'],
    [{ destination: 'oci://registry.example/UPPER' }, 400, 'REFERENCE_INVALID', '/destination'],
    [{ destination: 'https://registry.example/x' }, 400, 'REFERENCE_INVALID', '/destination'],
    [{ destination: 'oci://registry.example/x:tag' }, 400, 'REFERENCE_INVALID', '/destination'],
    [{ destination: 'team/x' }, 400, 'REFERENCE_INVALID', '/destination'],
    [{ source: '/p.tar.zst' }, 400, 'BODY_INVALID', '/source'],
    [{ source: 'oci://registry.example/x:1' }, 400, 'BODY_INVALID', '/source'],
    [{ source: `file:${root}/p.zip` }, 422, 'PACKAGE_FORMAT_UNSUPPORTED', '/source'],
    [{ source: `file:${root}/none.tar` }, 422, 'PACKAGE_NOT_FOUND', '/source'],
    [{ source: `file:${root}/../outside.tar` }, 403, 'PACKAGE_OUTSIDE_ROOTS', '/source'],
    [{ source: `file:${root}/leak.tar` }, 403, 'PACKAGE_OUTSIDE_ROOTS', '/source'],
    [{ source: 'file:/etc/passwd' }, 403, 'PACKAGE_OUTSIDE_ROOTS', '/source'],
    [{ source: `upload:${NO_JOB}` }, 422, 'UPLOAD_NOT_FOUND', '/source'],
  ]
  for (const [changes, status, code, pointer] of cases) {
    const response = await post(server, { ...body, ...changes })
    const problem = response.json<Problem>()
    assert.deepEqual([response.statusCode, problem.code], [status, code], JSON.stringify(changes))
    assert.deepEqual(
      problem.errors?.map((error) => error.pointer),
      [pointer],
      JSON.stringify(changes),
    )
  }
  assert.deepEqual((await server.app.inject('/v1/jobs')).json(), { items: [] })
})

test('uploads and directories are sources, and oci:// may be left out', async (t) => {
  const server = await withPackage(t)
  await mkdir(join(server.root, 'unpacked'))
  const upload = await server.uploads.receive('p.tar', Readable.from([Buffer.from('x')]))
  for (const source of [`upload:${upload.id}`, `file:${server.root}/unpacked`]) {
    const response = await post(server, { ...server.body, source, destination: 'Registry.example:5000/team/' })
    assert.equal(response.statusCode, 202, response.body)
    assert.equal(response.json<Job>().destination, DESTINATION)
  }
})

test('credentials go to the run, sealed on the way, and only for the registry of the job', async (t) => {
  const server = await withPackage(t)
  const header = (auth: object) => ({ 'x-registry-auth': Buffer.from(JSON.stringify(auth)).toString('base64url') })
  const wrong = await post(
    server,
    server.body,
    header({ username: 'me', password: 'p', serveraddress: 'other.example' }),
  )
  assert.deepEqual([wrong.statusCode, wrong.json<Problem>().code], [400, 'CREDENTIALS_INVALID'])
  const auth = { username: 'me', password: 'hunter2', serveraddress: 'registry.example:5000' }
  const job = (await post(server, server.body, header(auth))).json<Job>()
  assert.doesNotMatch(JSON.stringify(job), /hunter2/)
  const run = await begin(server.jobs, job)
  assert.deepEqual(run.credentials, { registry: 'registry.example:5000', username: 'me', password: 'hunter2' })
})

test('the same key and body give the same job, another body is refused', async (t) => {
  const server = await withPackage(t)
  const key = { 'idempotency-key': '"k-1"' }
  const first = await post(server, server.body, key)
  const again = await post(server, { destination: DESTINATION, kind: 'publish', source: server.body.source }, key)
  assert.equal(again.statusCode, 202)
  assert.equal(again.headers.location, first.headers.location)
  assert.deepEqual(
    [first, again].map(({ headers }) => headers['idempotency-replayed']),
    [undefined, 'true'],
  )
  const other = await post(server, { ...server.body, labels: { a: 'b' } }, key)
  assert.deepEqual([other.statusCode, other.json<Problem>().code], [422, 'IDEMPOTENCY_MISMATCH'])
  assert.notEqual((await post(server, server.body)).headers.location, first.headers.location)
})

test('lists go newest first in pages that a link leads through, with filters', async (t) => {
  const server = await withPackage(t)
  const { app, body } = server
  const ids: string[] = []
  for (const at of [0, 1, 2, 3, 4]) {
    const destination = at === 4 ? 'oci://other.example/x' : DESTINATION
    const labels = { env: at % 2 === 0 ? 'dev' : 'prod', n: String(at) }
    ids.unshift((await post(server, { ...body, destination, labels })).json<Job>().id)
  }
  await act(server, `${ids[0]}/cancel`)
  const list = async (query: string) =>
    (await app.inject(`/v1/jobs?${query}`)).json<JobPage>().items.map(({ id }) => id)
  assert.deepEqual(await list(''), ids)
  assert.deepEqual(await list('pageSize=100000'), ids)
  assert.deepEqual(await list('state=canceled'), [ids[0]])
  assert.deepEqual(await list('state=canceled&state=queued&kind=publish'), ids)
  assert.deepEqual(await list('kind=pull'), [])
  assert.deepEqual(await list('label=env%3Ddev'), [ids[0], ids[2], ids[4]])
  assert.deepEqual(await list('label=env%3Ddev&label=n%3D2'), [ids[2]])
  assert.deepEqual(await list('registry=OTHER.example'), [ids[0]])
  assert.deepEqual(await list('createdAfter=2100-01-01T00:00:00Z'), [])

  const seen: string[] = []
  const readPage = async (url: string): Promise<string | undefined> => {
    const { headers, ...response } = await app.inject(url)
    const { items, nextPageToken } = JSON.parse(response.body) as JobPage
    assert.ok(items.length <= 2)
    seen.push(...items.map(({ id }) => id))
    const link = /^<(.+)>; rel="next"$/.exec(String(headers.link ?? ''))?.[1]
    assert.equal(link === undefined, nextPageToken === undefined)
    return link
  }
  let next = await readPage('/v1/jobs?pageSize=2&kind=publish')
  while (next !== undefined) next = await readPage(next)
  assert.deepEqual(seen, ids)
  const bad = await app.inject('/v1/jobs?pageToken=nonsense')
  assert.deepEqual([bad.statusCode, bad.json<Problem>().code], [400, 'REQUEST_INVALID'])
})

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
})

test('Redis gone while a job is submitted: 503 and no job; afterwards it goes on', async (t) => {
  const server = await withPackage(t)
  await server.jobs.redis.kill()
  const refused = await post(server, server.body)
  assert.deepEqual([refused.statusCode, refused.json<Problem>().code], [503, 'QUEUE_UNAVAILABLE'])
  assert.ok(refused.headers['retry-after'])
  await server.jobs.redis.start()
  await waitFor('the queue to come back', async () => (await post(server, server.body)).statusCode === 202)
  assert.equal((await server.app.inject('/v1/jobs')).json<JobPage>().items.length, 1)
})

async function waitForOne({ jobs }: TestApp): Promise<Job> {
  return waitFor('the job to be there', async () => (await jobs.queue.list({}, { size: 1 })).items[0])
}

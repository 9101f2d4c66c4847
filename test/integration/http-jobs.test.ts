import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { Job, Problem } from '../../src/jobs/model/definitions.ts'
import { createJobQueue } from '../../src/jobs/queue.ts'
import { createOutboundPolicy } from '../../src/oci/connections.ts'
import { begin, startJobs } from '../helpers/redis/jobs.ts'
import { DESTINATION, NO_JOB, withPackage, post, act } from '../helpers/streams/http-jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'

interface JobPage {
  items: Job[]
  nextPageToken?: string
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

test('a job for one registry too many is a 429 that says when to come again', async (t) => {
  const jobs = await startJobs(t)
  const queue = createJobQueue({ ...jobs.options, maxHosts: 1 })
  t.after(() => queue.close())
  const server = await withPackage(t, { queue })
  await waitFor('the queue to answer', () => queue.ping(1000))
  assert.equal((await post(server, server.body)).statusCode, 202)
  const refused = await post(server, { ...server.body, destination: 'oci://other.example/team' })
  const { code, detail, retryable, details } = refused.json<Problem>()
  assert.deepEqual([refused.statusCode, code, retryable, details], [429, 'TOO_MANY_HOSTS', true, { hosts: 1 }])
  assert.match(detail, /^1 registr/)
  assert.ok(Number(refused.headers['retry-after']) > 0)
  assert.equal((await post(server, server.body)).statusCode, 202)
})

test('a registry that may not be named is refused by name of the field, and makes no job', async (t) => {
  const { check: mayName } = createOutboundPolicy({ allowed: undefined, named: ['127.0.0.1:5000'], anywhere: false })
  const server = await withPackage(t, { mayName, kinds: new Set(['publish', 'pull'] as const) })
  for (const [body, pointer] of [
    [{ ...server.body, destination: 'oci://10.0.0.1/team' }, '/destination'],
    [{ kind: 'pull', source: 'oci://localhost:22/a/b:1' }, '/source'],
  ] as const) {
    const refused = await post(server, body)
    const { code, errors, hint } = refused.json<Problem>()
    assert.deepEqual([refused.statusCode, code, errors?.[0]?.pointer], [403, 'REGISTRY_NOT_ALLOWED', pointer])
    assert.match(hint ?? '', /LAYERD_ALLOW_PRIVATE/)
  }
  const looked = await server.app.inject('/v1/remote-packages?ref=10.0.0.1:22/a/b:1')
  assert.deepEqual([looked.statusCode, looked.json<Problem>().code], [403, 'REGISTRY_NOT_ALLOWED'])
  assert.equal((await post(server, { ...server.body, destination: 'oci://127.0.0.1:5000/team' })).statusCode, 202)
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
    [{ options: { manifest: 'list' } }, 400, 'BODY_INVALID', '/options/manifest'],
    [{ options: { tag: 'a+b' } }, 422, 'TAG_INVALID', '/options/tag'],
    [{ options: { subject: 'a+b' } }, 400, 'BODY_INVALID', '/options/subject'],
    [{ options: { subject: 'sha256:12' } }, 400, 'BODY_INVALID', '/options/subject'],
    [{ options: { artifactType: 'text/x; a=b' } }, 400, 'BODY_INVALID', '/options/artifactType'],
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

test('a copy is checked by both its ends, and may bring a login for each', async (t) => {
  const server = await withPackage(t, { kinds: new Set(['copy'] as const) })
  const body = {
    kind: 'copy',
    source: 'oci://r.example/team/nemo:1.2.0',
    destination: 'oci://other.example/team',
    options: { architectures: ['amd64'] },
  }
  const cases: Array<[changes: object, code: string, pointer: string]> = [
    [{ destination: undefined }, 'BODY_INVALID', '/destination'],
    [{ destination: 'oci://r.example/team' }, 'BODY_INVALID', '/destination'],
    [{ destination: 'oci://other.example/team:1' }, 'REFERENCE_INVALID', '/destination'],
    [{ source: 'oci://r.example/team/nemo' }, 'REFERENCE_INVALID', '/source'],
    [{ source: `upload:${NO_JOB}` }, 'REFERENCE_INVALID', '/source'],
    [{ options: { components: ['x'] } }, 'BODY_INVALID', '/options/components'],
    [{ options: { architectures: [] } }, 'BODY_INVALID', '/options/architectures'],
    [{ options: { tags: ['1.*'] } }, 'BODY_INVALID', '/source'],
    [{ source: 'oci://r.example/a/b', options: { tags: ['1.*'], tag: 'x' } }, 'BODY_INVALID', '/options/tag'],
    [{ source: 'oci://r.example/a/b', options: { tags: ['1.*', '[a'] } }, 'BODY_INVALID', '/options/tags/1'],
    [{ options: { architectures: 'some' } }, 'BODY_INVALID', '/options/architectures'],
  ]
  for (const [changes, code, pointer] of cases) {
    const response = await post(server, { ...body, ...changes })
    const { code: found, errors } = response.json<Problem>()
    assert.deepEqual([response.statusCode, found, errors?.[0]?.pointer], [400, code, pointer], JSON.stringify(changes))
  }
  const login = (serveraddress: string) => ({ username: serveraddress, password: 'p', serveraddress })
  const header = (auth: unknown) => ({ 'x-registry-auth': Buffer.from(JSON.stringify(auth)).toString('base64url') })
  const given: Array<[auth: unknown, registries: (string | undefined)[]]> = [
    [{ username: 'me', password: 'p' }, ['other.example', undefined]],
    [login('r.example'), ['r.example', undefined]],
    [
      [login('r.example'), login('other.example')],
      ['r.example', 'other.example'],
    ],
    [
      [login('other.example'), {}],
      ['other.example', undefined],
    ],
  ]
  for (const [auth, registries] of given) {
    const response = await post(server, body, header(auth))
    assert.equal(response.statusCode, 202, response.body)
    const job = response.json<Job>()
    const { credentials } = await begin(server.jobs, job)
    assert.deepEqual([credentials?.registry, credentials?.also?.registry], registries)
  }
  const third = [login('r.example'), login('other.example'), login('r.example')]
  for (const auth of [login('third.example'), third, [login('r.example'), login('r.example')], [1], 'x']) {
    const response = await post(server, body, header(auth))
    assert.deepEqual([response.statusCode, response.json<Problem>().code], [400, 'CREDENTIALS_INVALID'])
  }
  const retagged = await post(server, { ...body, destination: 'oci://r.example/team', options: { tag: 'stable' } })
  assert.equal(retagged.statusCode, 202)
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

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ERROR_CODES } from '../../../../src/lib/errors.ts'
import { smallDisk } from '../../../helpers/small-disk.ts'
import { waitFor } from '../../../helpers/wait-for.ts'
import { silence } from '../../../helpers/redis/jobs.ts'
import { startApp } from '../../../helpers/streams/http-app.ts'

test('liveness touches nothing, readiness needs Redis', async (t) => {
  const { app, jobs } = await startApp(t)
  assert.deepEqual((await app.inject('/readyz')).json(), { ready: true, reasons: [], disk: 'ok' })
  await jobs.redis.kill()
  assert.equal((await app.inject('/livez')).statusCode, 200)
  const response = await app.inject('/readyz')
  assert.equal(response.statusCode, 503)
  assert.deepEqual(
    response.json().reasons.map(({ check }: { check: string }) => check),
    ['redis'],
  )
})

test('a disk that runs low is told by readiness and closes nothing but uploads', async (t) => {
  const { app } = await startApp(t, { diskReserve: Number.MAX_SAFE_INTEGER })
  const response = await app.inject('/readyz')
  assert.equal(response.statusCode, 200)
  assert.deepEqual(response.json(), { ready: true, reasons: [], disk: 'low' })
  const refused = await app.inject({ method: 'PUT', url: '/v1/uploads/p.tar', payload: Buffer.alloc(10) })
  assert.equal(refused.statusCode, 507)
  assert.match(refused.json().detail, /free, .* are kept free for Redis, the upload needs 10 bytes$/)
  assert.equal(typeof refused.json().details.freeBytes, 'number')
  assert.equal((await app.inject('/v1/uploads')).statusCode, 200)
  assert.equal((await app.inject('/v1/packages')).statusCode, 200)
})

test('who gets no answer of Redis is told what is known of its end, and blames no URL of a private one', async (t) => {
  let why: { detail?: string; hint: string } = { hint: 'look into redis.log' }
  const { app, jobs } = await startApp(t, { whyNoRedis: async () => why })
  await jobs.redis.kill()
  const jobsProblem = async () => (await app.inject('/v1/jobs')).json()
  assert.match((await jobsProblem()).detail, /does not answer/)
  assert.equal((await jobsProblem()).hint, 'look into redis.log')
  why = { detail: 'the private Redis ended with exit code 1', hint: 'free space' }
  const { code, status, detail, hint } = await jobsProblem()
  assert.deepEqual([code, status, detail, hint], ['QUEUE_UNAVAILABLE', 503, why.detail, why.hint])
  assert.equal((await app.inject('/readyz')).json().reasons[0].detail, why.detail)
})

test('a Redis whose disk is full is named as that, by readiness and by every answer', async (t) => {
  const disk = await smallDisk(t, 4)
  if (disk === undefined) return
  const { app, jobs } = await startApp(t, { redisArgs: ['--dir', disk], kinds: new Set(['pull']) })
  await assert.rejects(writeFile(join(disk, 'ballast'), Buffer.alloc(5 * 2 ** 20)), { code: 'ENOSPC' })
  await jobs.raw.set('key', 'x'.repeat(100_000)).catch(() => undefined)
  await waitFor('it to refuse writes', async () => (await app.inject('/readyz')).statusCode === 503)
  const misconf = /Redis answers "MISCONF .*No space left on device/
  assert.match((await app.inject('/readyz')).json().reasons[0].detail, misconf)
  const problem = (
    await app.inject({
      method: 'POST',
      url: '/v1/jobs',
      payload: { kind: 'pull', source: 'oci://r.example/sample:1.0.0' },
    })
  ).json()
  assert.equal(problem.code, 'QUEUE_UNAVAILABLE')
  assert.match(problem.detail, misconf)
  assert.doesNotMatch(problem.hint, /LAYERD_REDIS_URL/)
})

test('in the all-in-one role readiness waits for a worker that takes jobs', async (t) => {
  const { app, jobs } = await startApp(t, { allInOne: true })
  const response = await app.inject('/readyz')
  assert.equal(response.statusCode, 503)
  assert.equal(response.json().reasons[0].check, 'workers')
  await jobs.runs.heartbeat('worker-1')
  assert.equal((await app.inject('/readyz')).statusCode, 200)
  await silence(jobs, 'worker-1')
  assert.equal((await app.inject('/readyz')).statusCode, 503)
})

test('the first page tells what runs and where things are, as text, page or JSON', async (t) => {
  const { app } = await startApp(t)
  for (const accept of [undefined, '*/*']) {
    const response = await app.inject({ url: '/', headers: accept === undefined ? {} : { accept } })
    assert.match(String(response.headers['content-type']), /^text\/plain/)
    assert.match(response.body, /^layerd 1\.2\.3: /)
    assert.match(response.body, /\/v1\/jobs\/\{id\}\/events/)
  }
  const page = await app.inject({ url: '/', headers: { accept: 'text/html,*/*;q=0.8' } })
  assert.match(String(page.headers['content-type']), /^text\/html/)
  assert.match(page.body, /<a href="\/docs\/errors">\/docs\/errors<\/a>/)
  assert.deepEqual([page.headers['vary'], /script|style=/.test(page.body)], ['accept', false])
  const overview = (await app.inject({ url: '/', headers: { accept: 'application/json' } })).json()
  assert.equal(overview.version, '1.2.3')
  // Each address it names is there (not a 404), or takes another method.
  for (const address of Object.keys(overview.addresses)) {
    // As a page where it would be a stream without an end.
    const url = address.replace(/\{.*?\}/g, 'x')
    const response = await app.inject({ url, headers: { accept: 'application/json' } })
    assert.doesNotMatch(response.body, /there is nothing at/, address)
  }
  assert.equal((await app.inject('/version')).json().version, '1.2.3')
})

test('the interface can be read and tried, from nowhere but here', async (t) => {
  const { app } = await startApp(t)
  const yaml = await app.inject('/openapi.yaml')
  assert.match(yaml.body, /^openapi: 3\.1\.0/)
  const page = await app.inject('/docs/')
  assert.equal(page.statusCode, 200)
  const policy = String(page.headers['content-security-policy'])
  assert.match(policy, /default-src 'none'/)
  assert.doesNotMatch(policy, /unsafe|https?:|\*/)
  assert.equal((await app.inject('/docs/json')).json().info.title, 'layerd')
  // Its own name and mark, all from here.
  assert.match(page.body, /<title>layerd/)
  const mark = await app.inject('/docs/static/theme/layerd.svg')
  assert.deepEqual([mark.statusCode, mark.headers['content-type']], [200, 'image/svg+xml'])
})

test('the type of every problem leads to its description', async (t) => {
  const { app } = await startApp(t)
  const { body, statusCode } = await app.inject('/docs/errors')
  assert.equal(statusCode, 200)
  for (const code of Object.keys(ERROR_CODES)) assert.ok(body.includes(`id="${code}"`), code)
  assert.match(
    body,
    /id="REGISTRY_NAME_UNKNOWN"[^]*?<p>The registry does not have this repository[^]*?then retry the job/,
  )
})

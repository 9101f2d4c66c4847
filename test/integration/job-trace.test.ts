import assert from 'node:assert/strict'
import { dirname } from 'node:path'
import { test } from 'node:test'
import type { Har } from '../../src/http/schemas/har.ts'
import type { TracedRequest } from '../../src/jobs/progress/trace.ts'
import { LAST_REQUESTS } from '../../src/worker/traces/run-trace.ts'
import { assertHar } from '../helpers/har.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { begin, newJob, PROBLEM, RESULT, startJobs } from '../helpers/redis/jobs.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startTokenServer } from '../helpers/registries/token-server.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'
import { NO_JOB } from '../helpers/streams/http-jobs.ts'
import { wireRequest } from '../helpers/wire-request.ts'

const roots = [dirname(FIXTURES.nemoAmd64)]
const KINDS = new Set(['publish', 'pull'] as const)

async function setUp(t: Parameters<typeof startApp>[0]): Promise<{ system: JobSystem; server: TestApp }> {
  const system = await startJobSystem(t, { roots })
  await system.worker('one')
  const server = await startApp(t, { queue: system.queue, events: system.events, kinds: KINDS, fileRoots: roots })
  return { system, server }
}

async function readHar({ app }: TestApp, id: string): Promise<Har> {
  const answer = await app.inject({ url: `/v1/jobs/${id}/trace.har` })
  assert.equal(answer.statusCode, 200, answer.body)
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  assert.equal(answer.headers['content-disposition'], `attachment; filename="layerd-${id}.har"`)
  const har = answer.json<Har>()
  assertHar(har)
  return har
}

/** `GET /v2/x 200` of each. */
function lines(har: Har): string[] {
  return har.log.entries.map(
    ({ request, response }) => `${request.method} ${new URL(request.url).pathname} ${response.status}`,
  )
}

test('a job with the option has each of its requests, those for tokens too', async (t) => {
  const { system, server } = await setUp(t)
  const tokens = await startTokenServer(t, { users: { ann: 'opensesame' } })
  await using registry = await startMemoryRegistry({
    authorize: ({ method, headers }) =>
      tokens.allows(headers.authorization, 'team/nemo', method === 'GET' || method === 'HEAD' ? 'pull' : 'push')
        ? undefined
        : {
            status: 401,
            headers: { 'www-authenticate': `Bearer realm="${tokens.realm}",service="${tokens.service}"` },
          },
  })
  const credentials = { username: 'ann', password: 'opensesame', registry: registry.host }
  const place = `oci://${registry.host}/team`
  const { id } = await system.publish(FIXTURES.nemoAmd64, place, { options: { trace: true }, credentials })
  const ended = await system.ended(id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  const har = await readHar(server, id)
  const seen = registry.requests.map(({ method, path, status }) => `${method} ${path} ${status}`)
  const own = { log: { ...har.log, entries: har.log.entries.filter(({ _shared }) => !_shared) } }
  // The question of the scheme is a request of nobody's.
  const withoutQuestion = seen.filter((_, at) => at > 0)
  assert.deepEqual(lines(own).toSorted(), withoutQuestion.toSorted())
  const shared = har.log.entries.filter(({ _shared }) => _shared).map(({ _op }) => _op)
  assert.deepEqual(new Set(shared), new Set(['connect', 'get a token']))
  assert.equal(har.log.comment, `job ${id}: all ${har.log.entries.length} requests`)
  const times = har.log.entries.map(({ startedDateTime }) => startedDateTime)
  assert.deepEqual(times, times.toSorted())
  assert.ok(har.log.entries.every(({ _attempt }) => _attempt === 1))

  const pulled = await system.pull(`${place}/nemo:1.2.0`, { options: { trace: true }, credentials })
  assert.equal((await system.ended(pulled.id)).state, 'succeeded')
  const ops = (await readHar(server, pulled.id)).log.entries.map(({ _op }) => _op)
  assert.ok(ops.includes('fetch blob'), ops.join())
})

test('a job that failed has its last requests though nobody asked, one that succeeded has none', async (t) => {
  const { system, server } = await setUp(t)
  await using registry = await startMemoryRegistry()
  const body = JSON.stringify({ errors: [{ code: 'DENIED', message: 'not today' }] })
  const stop = registry.fail({ method: 'PUT', path: /\/manifests\// }, { kind: 'answer', status: 403, body })
  const failing = await system.publish(FIXTURES.fleet, `oci://${registry.host}/team`)
  const job = await system.ended(failing.id)
  assert.equal(job.error?.code, 'REGISTRY_DENIED')
  const har = await readHar(server, failing.id)
  assert.equal(har.log.entries.length, LAST_REQUESTS)
  assert.match(har.log.comment, new RegExp(`^job ${failing.id}: the last 50 of \\d+ requests$`))
  const refused = har.log.entries.findLast(({ request }) => request.method === 'PUT')
  assert.match(refused?.request.url ?? '', /\/v2\/team\/fleet\/manifests\/sha256:/)
  assert.equal(refused?.response.status, 403)

  stop()
  const { id } = await system.publish(FIXTURES.nemoAmd64, `oci://${registry.host}/team`)
  assert.equal((await system.ended(id)).state, 'succeeded')
  const answer = await server.app.inject({ url: `/v1/jobs/${id}/trace.har` })
  assert.equal(answer.statusCode, 404)
  const { code, hint } = answer.json<{ code: string; hint: string }>()
  assert.equal(code, 'NOT_FOUND')
  assert.match(hint, /options\.trace/)
  await system.assertNothingLeft(registry)
})

test('a job that waits has an empty archive, and no job none', async (t) => {
  const jobs = await startJobs(t)
  const server = await startApp(t, { queue: jobs.queue, events: jobs.events })
  const { job } = await jobs.queue.create(newJob({ options: { trace: true } }))
  const { log } = await readHar(server, job.id)
  assert.deepEqual([log.entries, log.comment], [[], `job ${job.id}: all 0 requests`])
  const { epoch } = await begin(jobs, job)
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  const gone = await server.app.inject({ url: `/v1/jobs/${job.id}/trace.har` })
  assert.equal(gone.statusCode, 404)
  assert.match(gone.json<{ hint: string }>().hint, /A day after/)
  const none = await server.app.inject({ url: `/v1/jobs/${NO_JOB}/trace.har` })
  assert.equal(none.json<{ code: string }>().code, 'JOB_NOT_FOUND')
})

const requestOf = (startedAt: number, op?: string): TracedRequest => ({ ...wireRequest(startedAt, op), attempt: 1 })

test('what is kept of a job is bounded by number and bytes, and the rest is counted', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  const read = () => jobs.queue.trace(job.id)
  const many = Array.from({ length: 70 }, (_, at) => requestOf(at))
  await jobs.runs.report(job.id, epoch, { trace: { requests: many, dropped: 5, most: 60 } })
  let kept = await read()
  assert.deepEqual([kept.requests.length, kept.requests[0]?.startedAt, kept.dropped], [60, 10, 15])
  // Events are told beside them.
  const events = [{ type: 'log', level: 'info', message: 'beside it' } as const]
  await jobs.runs.report(job.id, epoch, { trace: { requests: [requestOf(-1)], dropped: 0, most: 5000 }, events })
  kept = await read()
  assert.deepEqual([kept.requests.length, kept.requests[0]?.startedAt, kept.dropped], [61, -1, 15])
  assert.ok((await jobs.queue.log(job.id, { limit: 100 })).some(({ line }) => line.message === 'beside it'))

  const large = Array.from({ length: 300 }, (_, at) => requestOf(1000 + at, 'x'.repeat(10_000)))
  await jobs.runs.report(job.id, epoch, { trace: { requests: large, dropped: 0, most: 5000 } })
  kept = await read()
  const bytes = kept.requests.reduce((sum, request) => sum + JSON.stringify(request).length, 0)
  assert.ok(bytes <= 2 * 1024 * 1024 && bytes > 2 * 1024 * 1024 - 11_000, String(bytes))
  assert.equal(kept.requests.at(-1)?.startedAt, 1299)
  assert.equal(kept.dropped, 15 + 61 + 300 - kept.requests.length)

  await jobs.runs.report(job.id, epoch + 1, { trace: { requests: [requestOf(9999)], dropped: 0, most: 5000 } })
  assert.deepEqual(await read(), kept, 'a run that does not own the job changes nothing')
})

test('requests go with the events of their job, and a retry keeps them', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const key = `{layerd}:job:${job.id}:trace`
  const trace = { requests: [requestOf(1)], dropped: 9, most: 50 }
  const first = await begin(jobs, job)
  await jobs.runs.finish(job.id, first.epoch, { state: 'failed', error: PROBLEM }, { trace })
  assert.equal((await jobs.queue.trace(job.id)).dropped, 9)
  const ttl = await jobs.raw.ttl(key)
  assert.ok(ttl > 86_000 && ttl <= 86_400, String(ttl))
  await jobs.queue.retry(job.id)
  assert.equal(await jobs.raw.ttl(key), -1)

  // As if it had run out meanwhile: what was counted of it counts no more.
  await jobs.raw.del(key)
  const second = await begin(jobs, job, 2)
  await jobs.runs.finish(job.id, second.epoch, { state: 'failed', error: PROBLEM }, { trace: { ...trace, dropped: 2 } })
  const { requests, dropped } = await jobs.queue.trace(job.id)
  assert.deepEqual([requests.length, dropped], [1, 2])
  await jobs.queue.remove(job.id)
  assert.deepEqual(await jobs.raw.keys(`{layerd}:job:${job.id}*`), [])
})

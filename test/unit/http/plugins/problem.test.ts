import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { text } from 'node:stream/consumers'
import { pino } from 'pino'
import type { Problem } from '../../../../src/jobs/model/definitions.ts'
import { problemOf } from '../../../../src/http/plugins/problem.ts'
import { AppError } from '../../../../src/lib/errors.ts'
import { startApp } from '../../../helpers/streams/http-app.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

test('an unknown address, a known one with another method and a broken one are problems', async (t) => {
  const { app } = await startApp(t)
  const cases: Array<[method: 'GET' | 'PUT' | 'DELETE', url: string, status: number, code: string, allow?: string]> = [
    ['GET', '/nothing/here?x=1', 404, 'NOT_FOUND'],
    ['GET', '/v1', 404, 'NOT_FOUND'],
    ['GET', '/v1/jobs/', 404, 'JOB_NOT_FOUND'],
    ['DELETE', '/v1/jobs', 405, 'METHOD_NOT_ALLOWED', 'GET, HEAD, POST'],
    ['PUT', '/v1/jobs/x', 405, 'METHOD_NOT_ALLOWED', 'DELETE, GET, HEAD'],
    ['GET', '/v1/jobs/x/cancel', 405, 'METHOD_NOT_ALLOWED', 'POST'],
    ['GET', '/%zz', 400, 'REQUEST_INVALID'],
    ['GET', `/v1/jobs/${'x'.repeat(2000)}`, 400, 'REQUEST_INVALID'],
  ]
  for (const [method, url, status, code, allow] of cases) {
    const response = await app.inject({ method, url, headers: { 'x-request-id': 'r-1' } })
    const problem = response.json<Problem>()
    assert.equal(response.statusCode, status, url)
    assert.equal(response.headers['content-type'], 'application/problem+json; charset=utf-8')
    assert.equal(response.headers['allow'], allow)
    assert.deepEqual(
      [problem.code, problem.status, problem.type, problem.requestId, problem.retryable],
      [code, status, `/docs/errors#${code}`, 'r-1', false],
    )
    assert.equal(problem.instance, url.split('?')[0])
  }
})

test('bodies that are all brackets, values or keys are not even parsed', async (t) => {
  const { app } = await startApp(t)
  const cases: ReadonlyArray<[payload: string, says: RegExp]> = [
    ['['.repeat(1024 * 1024), /nests more than 32 deep/],
    [`{"labels":[${'1,'.repeat(400_000)}1]}`, /holds more than 5000 values/],
    [
      `{${Array.from({ length: 4000 }, (_, at) => `"label ${at}":1,`).join('')}"a":1}`,
      /holds more than 1000 different keys/,
    ],
  ]
  for (const [payload, says] of cases) {
    const response = await app.inject({ method: 'POST', url: '/v1/jobs', headers: JSON_TYPE, payload })
    const problem = response.json<Problem>()
    assert.deepEqual([response.statusCode, problem.code], [400, 'BODY_INVALID'])
    assert.match(problem.detail ?? '', says)
  }
})

test('bodies that do not parse are problems', async (t) => {
  const { app } = await startApp(t)
  const cases: Array<[payload: string, status: number, code: string]> = [
    ['{"kind":', 400, 'BODY_INVALID'],
    ['', 400, 'BODY_INVALID'],
    ['null', 400, 'BODY_INVALID'],
    ['[]', 400, 'BODY_INVALID'],
    ['"text"', 400, 'BODY_INVALID'],
    ['{"__proto__":{"x":1}}', 400, 'BODY_INVALID'],
    [`"${'x'.repeat(1024 * 1024)}"`, 413, 'PAYLOAD_TOO_LARGE'],
  ]
  for (const [payload, status, code] of cases) {
    const response = await app.inject({ method: 'POST', url: '/v1/jobs', headers: JSON_TYPE, payload })
    assert.deepEqual([response.statusCode, response.json<Problem>().code], [status, code], payload.slice(0, 40))
    assert.match(String(response.headers['content-type']), /^application\/problem\+json/)
  }
})

test('wrong fields are named by JSON pointer, several at once, and none is converted', async (t) => {
  const { app } = await startApp(t)
  const post = async (payload: object) => {
    const response = await app.inject({ method: 'POST', url: '/v1/jobs', headers: JSON_TYPE, payload })
    const problem = response.json<Problem>()
    assert.deepEqual([response.statusCode, problem.code], [400, 'BODY_INVALID'])
    return problem.errors?.map(({ pointer }) => pointer)
  }
  const valid = { kind: 'publish', source: 'file:/x.tar', destination: 'oci://localhost:1' }
  assert.deepEqual(await post({}), ['/kind', '/source'])
  assert.deepEqual(await post({ ...valid, priority: 1, 'a/b~c': 1 }), ['/priority', '/a~1b~0c'])
  assert.deepEqual(await post({ ...valid, kind: 'explode' }), ['/kind'])
  assert.deepEqual(await post({ ...valid, options: { concurrency: '6' } }), ['/options/concurrency'])
  assert.deepEqual(await post({ ...valid, options: { concurrency: 33, labels: [] } }), [
    '/options/labels',
    '/options/concurrency',
  ])
  assert.deepEqual(await post({ ...valid, labels: { a: 1 } }), ['/labels/a'])
  assert.deepEqual(await post({ ...valid, labels: { 'a=b': 'x' } }), ['/labels/a=b'])
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`unknown${at}`, 1]))
  assert.equal((await post({ ...valid, ...many }))?.length, 20)
})

test('a wrong or unknown query parameter is refused by name', async (t) => {
  const { app } = await startApp(t)
  const cases: Array<[query: string, pointer: string]> = [
    ['pageSize=0', '/pageSize'],
    ['pageSize=ten', '/pageSize'],
    ['status=queued', '/status'],
    ['state=asleep', '/state/0'],
    ['label=env', '/label/0'],
    ['createdAfter=yesterday', '/createdAfter'],
  ]
  for (const [query, pointer] of cases) {
    const response = await app.inject(`/v1/jobs?${query}`)
    const problem = response.json<Problem>()
    assert.deepEqual([response.statusCode, problem.code], [400, 'REQUEST_INVALID'], query)
    assert.equal(problem.errors?.[0]?.pointer, pointer, query)
  }
})

test('what went wrong inside is logged and not told', async (t) => {
  const lines: string[] = []
  const logger = pino({ level: 'error' }, { write: (line: string) => void lines.push(line) })
  const { app, jobs } = await startApp(t, { logger })
  // A record that this version cannot have written.
  await jobs.raw.hset('{layerd}:job:01900000-0000-7000-8000-000000000000', 'state', 'running', 'kind', '{secret')
  const response = await app.inject('/v1/jobs/01900000-0000-7000-8000-000000000000')
  assert.equal(response.statusCode, 500)
  assert.equal(response.json<Problem>().code, 'INTERNAL')
  assert.doesNotMatch(response.body, /secret|JSON|stack/)
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /"requestId"/)
})

test('an error carries its hint, its details and where it came from', () => {
  const error = new AppError('REGISTRY_THROTTLED', 'slow down', {
    hint: 'wait',
    side: 'destination',
    op: 'push',
    upstream: { registry: 'r.example', status: 429 },
    details: { pointer: '/destination', digest: 'sha256:x' },
  })
  assert.deepEqual(problemOf(error, { requestId: 'r' }), {
    type: '/docs/errors#REGISTRY_THROTTLED',
    title: 'The registry asked to slow down',
    status: 503,
    detail: 'slow down',
    code: 'REGISTRY_THROTTLED',
    retryable: true,
    requestId: 'r',
    hint: 'wait',
    op: 'push',
    side: 'destination',
    upstream: { registry: 'r.example', status: 429 },
    details: { digest: 'sha256:x' },
    errors: [{ pointer: '/destination', detail: 'slow down', code: 'REGISTRY_THROTTLED' }],
  })
})

test('what is hardly HTTP gets a problem, too', async (t) => {
  const { listen } = await startApp(t)
  const port = Number(new URL(await listen()).port)
  const cases: Array<[string, number]> = [
    ['nonsense\r\n\r\n', 400],
    [`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`, 431],
    ['GET /livez HTTP/1.0\r\n\r\n', 421],
    ['GET /livez HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n', 421],
  ]
  for (const [request, status] of cases) {
    const socket = connect(port, '127.0.0.1')
    socket.write(request)
    const answer = await text(socket)
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), request.slice(0, 30))
    assert.match(answer, /content-type: application\/problem\+json/i)
    assert.equal((JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as Problem).status, status)
  }
})

test('the request id is echoed where it is one, else made', async (t) => {
  const { app } = await startApp(t)
  const echoed = async (id: string) =>
    (await app.inject({ url: '/livez', headers: { 'x-request-id': id } })).headers['x-request-id']
  assert.equal(await echoed('abc-123'), 'abc-123')
  for (const id of ['', 'two words', 'x'.repeat(129), 'ü']) assert.match(String(await echoed(id)), /^[0-9a-f-]{36}$/)
})

test('Redis gone is a 503 that says when to come back, for each address and without a wait', async (t) => {
  const { app, jobs } = await startApp(t)
  await jobs.redis.kill()
  for (const url of [
    '/v1/jobs',
    '/v1/jobs/01900000-0000-7000-8000-000000000000',
    '/v1/jobs/01900000-0000-7000-8000-000000000000/events',
  ]) {
    const response = await app.inject(url)
    assert.deepEqual([response.statusCode, response.json<Problem>().code], [503, 'QUEUE_UNAVAILABLE'], url)
    assert.equal(response.json<Problem>().retryable, true)
    assert.ok(Number(response.headers['retry-after']) > 0)
  }
})

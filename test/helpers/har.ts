import assert from 'node:assert/strict'

type Json = Record<string, unknown>

/** What HAR 1.2 wants of a log ("required" and types, by hand of its JSON schema); fields of one's own begin with _. */
export function assertHar(value: unknown): void {
  const { log } = value as { log: Json }
  assert.deepEqual(Object.keys(value as Json), ['log'])
  assertFields(log, { version: 'string', creator: 'object', entries: 'object' }, ['comment', 'browser', 'pages'])
  // Optional, but Firefox's importer reads no log without it (devtools/client/netmonitor/src/har/har-importer.js).
  assert.deepEqual(log['pages'], [])
  assert.equal(log['version'], '1.2')
  assertFields(log['creator'] as Json, { name: 'string', version: 'string' })
  assert.ok(Array.isArray(log['entries']))
  for (const entry of log['entries'] as Json[]) assertEntry(entry)
}

function assertEntry(entry: Json): void {
  const fields = {
    startedDateTime: 'string',
    time: 'number',
    request: 'object',
    response: 'object',
    cache: 'object',
    timings: 'object',
  }
  assertFields(entry, fields, ['connection', 'serverIPAddress', 'pageref', 'comment'])
  assert.match(entry['startedDateTime'] as string, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  assertRequest(entry['request'] as Json)
  assertResponse(entry['response'] as Json)
  assert.deepEqual(entry['cache'], {})
  const timings = entry['timings'] as Record<string, number>
  assertFields(timings, { send: 'number', wait: 'number', receive: 'number' }, ['blocked', 'dns', 'connect', 'ssl'])
  for (const name of ['send', 'wait', 'receive']) assert.ok((timings[name] ?? -1) >= 0, name)
  for (const [name, ms] of Object.entries(timings)) assert.ok(ms >= 0 || ms === -1, `${name} ${ms}`)
  // "time" is the sum of all but ssl, which is part of connect.
  const { ssl: _part, ...parts } = timings
  const sum = Object.values(parts).reduce((total, ms) => total + Math.max(0, ms), 0)
  assert.ok(Math.abs((entry['time'] as number) - sum) < 0.001, `${String(entry['time'])} and ${sum}`)
}

function assertRequest(request: Json): void {
  const fields = {
    method: 'string',
    url: 'string',
    httpVersion: 'string',
    cookies: 'object',
    headers: 'object',
    queryString: 'object',
    headersSize: 'number',
    bodySize: 'number',
  }
  assertFields(request, fields, ['postData', 'comment'])
  assert.ok(URL.canParse(request['url'] as string), request['url'] as string)
  assertPairs(request['headers'])
  assertPairs(request['queryString'])
  assert.deepEqual(request['cookies'], [])
}

function assertResponse(response: Json): void {
  const fields = {
    status: 'number',
    statusText: 'string',
    httpVersion: 'string',
    cookies: 'object',
    headers: 'object',
    content: 'object',
    redirectURL: 'string',
    headersSize: 'number',
    bodySize: 'number',
  }
  assertFields(response, fields, ['comment'])
  assertPairs(response['headers'])
  assert.deepEqual(response['cookies'], [])
  assertFields(response['content'] as Json, { size: 'number', mimeType: 'string' }, ['text', 'encoding', 'compression'])
}

function assertPairs(pairs: unknown): void {
  assert.ok(Array.isArray(pairs))
  for (const pair of pairs as Json[]) assertFields(pair, { name: 'string', value: 'string' })
}

function assertFields(object: Json, required: Record<string, string>, optional: readonly string[] = []): void {
  for (const [name, type] of Object.entries(required)) {
    assert.equal(typeof object[name], type, `${name} of ${JSON.stringify(object).slice(0, 200)}`)
    assert.notEqual(object[name], null, name)
  }
  const others = Object.keys(object).filter((name) => !(name in required) && !optional.includes(name))
  assert.deepEqual(
    others.filter((name) => !name.startsWith('_')),
    [],
  )
}

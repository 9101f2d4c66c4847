import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TracedRequest } from '../../../../src/jobs/progress/trace.ts'
import { harEntry } from '../../../../src/http/answers/har.ts'
import { assertHar } from '../../../helpers/har.ts'

const SENT: TracedRequest = {
  startedAt: Date.parse('2026-03-01T12:00:00.250Z'),
  op: 'push blob',
  method: 'PUT',
  url: 'https://registry.example/v2/a/blobs/uploads/7?…&digest=sha256:00',
  try: 2,
  attempt: 3,
  exchange: 'undici',
  headers: [['authorization', 'Bearer ***']],
  bytes: 100,
  connection: 7,
  timings: { blocked: 1, dns: 2, connect: 10, ssl: 6, send: 3, wait: 4, receive: 5 },
  answer: {
    status: 307,
    headers: [
      ['location', 'https://other.example/x?…'],
      ['content-type', 'text/html'],
    ],
    bytes: 12,
  },
}

function archive(...entries: unknown[]): unknown {
  return { log: { version: '1.2', creator: { name: 'layerd', version: '0' }, pages: [], entries } }
}

test('a request is what HAR 1.2 wants it to be, and has what layerd knows beside that', () => {
  const entry = harEntry(SENT)
  assertHar(archive(entry))
  assert.deepEqual(entry, {
    startedDateTime: '2026-03-01T12:00:00.250Z',
    time: 25,
    request: {
      method: 'PUT',
      url: SENT.url,
      httpVersion: 'HTTP/1.1',
      cookies: [],
      headers: [{ name: 'authorization', value: 'Bearer ***' }],
      queryString: [
        { name: '…', value: '' },
        { name: 'digest', value: 'sha256:00' },
      ],
      headersSize: -1,
      bodySize: 100,
    },
    response: {
      status: 307,
      statusText: 'Temporary Redirect',
      httpVersion: 'HTTP/1.1',
      cookies: [],
      headers: [
        { name: 'location', value: 'https://other.example/x?…' },
        { name: 'content-type', value: 'text/html' },
      ],
      content: { size: 12, mimeType: 'text/html' },
      redirectURL: 'https://other.example/x?…',
      headersSize: -1,
      bodySize: 12,
      _transferSize: 12,
    },
    cache: {},
    timings: SENT.timings,
    connection: '7',
    _connectionId: '7',
    _resourceType: 'fetch',
    comment: 'push blob, run 3, try 2',
    _op: 'push blob',
    _attempt: 3,
    _try: 2,
    _exchange: 'undici',
  })
})

test('one without an answer has the status 0 and says why', () => {
  const { answer: _none, connection: _never, ...rest } = SENT
  const timings = { blocked: 3, dns: -1, connect: -1, ssl: -1, send: 0, wait: 0, receive: 0 }
  const error = { code: 'REGISTRY_UNREACHABLE', message: 'push blob: registry.example refused the connection' }
  const entry = harEntry({ ...rest, timings, shared: true, open: true, error, url: 'https://***/' })
  assertHar(archive(entry))
  assert.equal(entry.time, 3)
  assert.deepEqual([entry.response.status, entry.response.bodySize, entry.response.content.size], [0, -1, 0])
  assert.equal(entry.response._error, `${error.code}: ${error.message}`)
  assert.deepEqual([entry._error, entry._shared, entry._open, entry.connection], [error, true, true, undefined])
})

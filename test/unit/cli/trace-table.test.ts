import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HarEntry } from '../../../src/cli/client/contract.ts'
import { traceTable } from '../../../src/cli/view/trace-table.ts'

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`

function entry(
  at: string,
  changes: Partial<HarEntry> & { status?: number; sent?: number; read?: number } = {},
): HarEntry {
  const { status = 200, sent = 0, read = 0, ...more } = changes
  return {
    startedDateTime: `2026-03-01T12:00:${at}Z`,
    time: 12.4,
    request: {
      method: 'PUT',
      url: `https://registry.example/v2/team/nemo/blobs/uploads/7?…&digest=${DIGEST}`,
      httpVersion: 'HTTP/1.1',
      cookies: [],
      headers: [],
      queryString: [],
      headersSize: -1,
      bodySize: sent,
    },
    response: {
      status,
      statusText: '',
      httpVersion: 'HTTP/1.1',
      cookies: [],
      headers: [],
      content: { size: 0, mimeType: '' },
      redirectURL: '',
      headersSize: -1,
      bodySize: read,
      _transferSize: read,
    },
    cache: {},
    timings: { blocked: 0, dns: -1, connect: -1, ssl: -1, send: 0, wait: 12.4, receive: 0 },
    _resourceType: 'fetch',
    _op: 'push blob',
    _attempt: 1,
    _try: 1,
    _exchange: 'small',
    ...more,
  }
}

const head = entry('00.000')
const ENTRIES = [
  {
    ...head,
    request: { ...head.request, method: 'HEAD', url: `https://registry.example/v2/team/nemo/blobs/${DIGEST}` },
  },
  entry('00.250', { status: 201, sent: 48_000, _try: 2 }),
  entry('01.500', { status: 0, read: -1, time: 60_000, _error: { code: 'REGISTRY_TIMEOUT', message: 'late' } }),
  entry('09.000', { status: 0, read: -1, _open: true }),
]

test('each request is a line: when, what, how long, how much', () => {
  const lines = traceTable(ENTRIES, { columns: undefined, heads: true }).split('\n')
  const place = 'registry.example/v2/team/nemo/blobs'
  assert.deepEqual(lines, [
    'AT     METHOD  STATUS  TIME    SENT      READ  WHAT',
    `+0.00  HEAD    200     12 ms                   push blob ${place}/sha256:0123456789ab`,
    `+0.25  PUT     201     12 ms   46.9 KiB        push blob (try 2) ${place}/uploads/7`,
    `+1.50  PUT     -       60.0 s                  push blob (REGISTRY_TIMEOUT) ${place}/uploads/7`,
    `+9.00  PUT     -       12 ms                   push blob (under way) ${place}/uploads/7`,
    '',
  ])
})

test('a terminal of 80 columns gets no line that is longer, and what went wrong is in it', () => {
  const lines = traceTable(ENTRIES, { columns: 80, heads: true }).split('\n')
  for (const line of lines) assert.ok(line.length <= 80, line)
  assert.match(lines[3] ?? '', /REGISTRY_TIMEOUT.*…$/)
})

test('a terminal shows the host of those alone that went elsewhere', () => {
  const [first = head] = ENTRIES
  const elsewhere = { ...head, request: { ...head.request, url: 'https://storage.example/bucket/x' } }
  const [, own, other] = traceTable([first, elsewhere, first], { columns: 120, heads: true }).split('\n')
  assert.match(own ?? '', / push blob \/v2\/team\/nemo\/blobs\/sha256:0123456789ab$/)
  assert.match(other ?? '', / push blob storage\.example\/bucket\/x$/)
})

test('a quiet table has no heads, and an empty one nothing', () => {
  assert.equal(traceTable([], { columns: 80, heads: false }), '')
  assert.equal(traceTable(ENTRIES, { columns: undefined, heads: false }).split('\n').length, ENTRIES.length + 1)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorCode, Retry } from '../../../../src/lib/errors.ts'
import { answerError, type CallFacts, toldHost, toldPath, toldUrl } from '../../../../src/oci/errors/errors.ts'
import { createMask, NO_SECRETS } from '../../../../src/oci/errors/mask.ts'

const facts: CallFacts = {
  op: 'push blob',
  registry: 'registry.example',
  repository: 'a/b',
  method: 'PUT',
  url: new URL('https://registry.example/v2/a/b/blobs/uploads/1?_state=secret'),
  mask: NO_SECRETS,
}
const now = Date.parse('2026-03-01T12:00:00Z')
const oci = (code: string, message = 'm') => JSON.stringify({ errors: [{ code, message }] })

function answer(status: number, text = '', headers: Record<string, string> = {}) {
  return answerError(facts, { status, text, header: (name) => headers[name] }, now)
}

const CASES: ReadonlyArray<[status: number, text: string, code: ErrorCode, retry: Retry]> = [
  [401, oci('UNAUTHORIZED'), 'REGISTRY_UNAUTHORIZED', 'permanent'],
  [403, oci('DENIED'), 'REGISTRY_DENIED', 'permanent'],
  [
    403,
    oci('DENIED', 'Your authorization token has expired. Reauthenticate and try again.'),
    'REGISTRY_UNAUTHORIZED',
    'permanent',
  ],
  [404, oci('NAME_UNKNOWN'), 'REGISTRY_NAME_UNKNOWN', 'permanent'],
  [404, oci('MANIFEST_UNKNOWN'), 'MANIFEST_NOT_FOUND', 'permanent'],
  [404, oci('BLOB_UNKNOWN'), 'BLOB_NOT_FOUND', 'permanent'],
  [404, oci('BLOB_UPLOAD_UNKNOWN'), 'REGISTRY_UPLOAD_LOST', 'transient'],
  [404, oci('BLOB_UPLOAD_INVALID'), 'REGISTRY_UPLOAD_LOST', 'transient'],
  [404, '404 page not found', 'REGISTRY_REJECTED', 'permanent'],
  [404, '<html><title>Not Found</title></html>', 'REGISTRY_PROTOCOL_VIOLATION', 'permanent'],
  [400, oci('DIGEST_INVALID'), 'REGISTRY_REJECTED', 'permanent'],
  [
    400,
    oci('TAG_INVALID', "The tag 'x' already exists and cannot be overwritten because the repository is immutable."),
    'TAG_IMMUTABLE',
    'permanent',
  ],
  [
    400,
    oci('MANIFEST_INVALID', 'cannot update tag x. The repository has enabled tag immutability'),
    'TAG_IMMUTABLE',
    'permanent',
  ],
  [412, oci('PRECONDITION', "'a/b:x' configured as immutable"), 'TAG_IMMUTABLE', 'permanent'],
  [409, oci('TAG_IMMUTABLE'), 'TAG_IMMUTABLE', 'permanent'],
  [408, '', 'REGISTRY_TIMEOUT', 'transient'],
  [413, '<html><title>413 Request Entity Too Large</title></html>', 'REGISTRY_REJECTED', 'permanent'],
  [429, 'Too Many Requests', 'REGISTRY_THROTTLED', 'transient'],
  [403, oci('TOOMANYREQUESTS'), 'REGISTRY_THROTTLED', 'transient'],
  [500, oci('UNKNOWN'), 'REGISTRY_SERVER_FAILED', 'transient'],
  [500, oci('DIGEST_INVALID'), 'REGISTRY_REJECTED', 'permanent'],
  [501, oci('UNSUPPORTED'), 'REGISTRY_REJECTED', 'permanent'],
  [507, '', 'REGISTRY_SERVER_FAILED', 'permanent'],
  [502, '<html><title>502 Bad Gateway</title></html>', 'REGISTRY_SERVER_FAILED', 'transient'],
  [503, '', 'REGISTRY_SERVER_FAILED', 'transient'],
  [504, '', 'REGISTRY_SERVER_FAILED', 'transient'],
  [524, '', 'REGISTRY_SERVER_FAILED', 'transient'],
  [200, '<html><title>Log in</title></html>', 'REGISTRY_PROTOCOL_VIOLATION', 'permanent'],
]

for (const [status, text, code, retry] of CASES) {
  test(`${status} ${text.slice(0, 60)} is ${code}, ${retry}`, () => {
    const error = answer(status, text)
    assert.deepEqual([error.code, error.retry], [code, retry])
  })
}

test('an error says where, what and why, and nothing secret', () => {
  const error = answer(403, oci('DENIED', 'no push for you'), {
    'content-type': 'application/json',
    'x-request-id': 'r1',
  })
  assert.equal(error.message, 'push blob: registry.example answered 403 DENIED: no push for you')
  assert.equal(error.op, 'push blob')
  assert.deepEqual(error.upstream, {
    registry: 'registry.example',
    repository: 'a/b',
    method: 'PUT',
    url: 'https://registry.example/v2/a/b/blobs/uploads/1?…',
    status: 403,
    ociCode: 'DENIED',
    message: 'no push for you',
    requestId: 'r1',
  })
  assert.match(error.hint ?? '', /may push to/)
})

test('how long to wait is taken from the answer', () => {
  assert.equal(answer(429, '', { 'retry-after': '7' }).retryAfterMs, 7000)
  assert.equal(answer(503, '', { 'retry-after': 'Sun, 01 Mar 2026 12:00:30 GMT' }).retryAfterMs, 30_000)
})

test('storage that refuses a presigned address is worth asking the registry again', () => {
  const error = answerError(facts, { status: 403, text: '', header: () => undefined, redirected: true }, now)
  assert.deepEqual([error.code, error.retry, error.details], ['REGISTRY_DENIED', 'transient', { redirected: true }])
})

test('of an address that the registry named, what we have shown is masked; our own is told as it is', () => {
  const mask = createMask()
  mask.keep('hunter22', 'blobs')
  const asked = '/v2/a/b/blobs/sha256:1?n=1'
  const ours = { ...facts, mask, asked, url: new URL(asked, 'https://registry.example') }
  assert.equal(toldUrl(ours), 'https://registry.example/v2/a/b/blobs/sha256:1?…')
  assert.equal(toldPath(ours), '/v2/a/b/blobs/sha256:1')
  const named = { ...ours, url: new URL('https://hunter22.example/x/hunter22?sig=hunter22') }
  assert.deepEqual(
    [toldUrl(named), toldHost(named), toldPath(named)],
    ['https://***.example/x/***?…', '***.example', '/x/***'],
  )
  // A mask in its place would tell that it is the password.
  assert.equal(toldPath({ ...ours, url: new URL('https://registry.example/v2/a/b/blobs/uploads/1') }), '***')
})

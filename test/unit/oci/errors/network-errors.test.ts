import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError, type ErrorCode, type Retry } from '../../../../src/lib/errors.ts'
import type { CallFacts } from '../../../../src/oci/errors/errors.ts'
import { NO_SECRETS } from '../../../../src/oci/errors/mask.ts'
import { errorCode, networkError } from '../../../../src/oci/errors/network-errors.ts'

const facts: CallFacts = {
  op: 'list tags',
  registry: 'registry.example',
  method: 'GET',
  url: new URL('https://registry.example/v2/a/b/tags/list?last=secret'),
  mask: NO_SECRETS,
}

function failure(code: string, more: { syscall?: string } = {}): Error {
  return Object.assign(new Error('low-level text'), { code, ...more })
}

const CASES: ReadonlyArray<[name: string, thrown: Error, code: ErrorCode, retry: Retry]> = [
  ['a refused connection', failure('ECONNREFUSED'), 'REGISTRY_UNREACHABLE', 'transient'],
  ['all addresses refused', new AggregateError([failure('ECONNREFUSED')]), 'REGISTRY_UNREACHABLE', 'transient'],
  ['an unknown name', failure('ENOTFOUND'), 'REGISTRY_UNKNOWN_HOST', 'permanent'],
  ['a DNS that does not answer', failure('EAI_AGAIN'), 'REGISTRY_UNREACHABLE', 'transient'],
  ['no connection in time', failure('UND_ERR_CONNECT_TIMEOUT'), 'REGISTRY_UNREACHABLE', 'transient'],
  [
    'no connection in time, by the kernel',
    failure('ETIMEDOUT', { syscall: 'connect' }),
    'REGISTRY_UNREACHABLE',
    'transient',
  ],
  ['a dead connection', failure('ETIMEDOUT', { syscall: 'read' }), 'REGISTRY_CONNECTION_LOST', 'transient'],
  ['a reset', failure('ECONNRESET'), 'REGISTRY_CONNECTION_LOST', 'transient'],
  ['a broken pipe', failure('EPIPE'), 'REGISTRY_CONNECTION_LOST', 'transient'],
  ['a socket closed by the other side', failure('UND_ERR_SOCKET'), 'REGISTRY_CONNECTION_LOST', 'transient'],
  ['an answer cut short', failure('UND_ERR_RES_CONTENT_LENGTH_MISMATCH'), 'REGISTRY_CONNECTION_LOST', 'transient'],
  ['no answer in time', failure('UND_ERR_HEADERS_TIMEOUT'), 'REGISTRY_TIMEOUT', 'transient'],
  ['nothing taken in time', failure('SEND_STALLED'), 'REGISTRY_TIMEOUT', 'transient'],
  ['an expired certificate', failure('CERT_HAS_EXPIRED'), 'REGISTRY_TLS', 'permanent'],
  ['a certificate for another name', failure('ERR_TLS_CERT_ALTNAME_INVALID'), 'REGISTRY_TLS', 'permanent'],
  ['an unknown CA', failure('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), 'REGISTRY_TLS', 'permanent'],
  ['no TLS there', failure('ERR_SSL_WRONG_VERSION_NUMBER'), 'REGISTRY_TLS', 'permanent'],
  [
    'a record broken on the way',
    failure('ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC'),
    'REGISTRY_CONNECTION_LOST',
    'transient',
  ],
  ['no HTTP there', failure('HPE_INVALID_CONSTANT'), 'REGISTRY_PROTOCOL_VIOLATION', 'permanent'],
  ['a mistake of ours', failure('UND_ERR_INVALID_ARG'), 'INTERNAL', 'permanent'],
  ['an error without a code', new Error('what'), 'INTERNAL', 'permanent'],
]

for (const [name, thrown, code, retry] of CASES) {
  test(`${name} is ${code}, ${retry}`, () => {
    const error = networkError(facts, thrown)
    assert.deepEqual([error.code, error.retry, error.op], [code, retry, 'list tags'])
    assert.match(error.message, /^list tags: .*registry\.example/)
    assert.equal(error.upstream?.url, 'https://registry.example/v2/a/b/tags/list?…')
    assert.equal(error.cause, thrown)
  })
}

test('a host of one word that nobody knows may be a namespace', () => {
  const url = new URL('https://team/v2/a/b/tags/list')
  assert.match(networkError({ ...facts, registry: 'team', url }, failure('ENOTFOUND')).hint ?? '', /docker\.io\/team/)
  assert.doesNotMatch(networkError(facts, failure('ENOTFOUND')).hint ?? '', /docker\.io/)
})

test('the name of a registry that answered before may come back', () => {
  assert.equal(networkError({ ...facts, reached: true }, failure('ENOTFOUND')).retry, 'transient')
})

test('an error of ours stays as it is, and its code is not taken for the network', () => {
  const ours = new AppError('DIGEST_MISMATCH', 'x', { cause: failure('ECONNRESET') })
  assert.equal(networkError(facts, ours), ours)
  assert.equal(errorCode(ours), 'ECONNRESET')
})

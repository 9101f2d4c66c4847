import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readIdempotency } from '../../../../src/http/requests/idempotency.ts'

const request = { key: 'k-1', principal: 'me', route: 'POST /v1/jobs', body: { a: 1, b: { c: [1, 2], d: null } } }

test('without a key nothing is asked for', () => {
  assert.equal(readIdempotency({ ...request, key: undefined }), undefined)
})

test('quoted and bare keys are the same key', () => {
  assert.deepEqual(readIdempotency({ ...request, key: '"k-1"' }), readIdempotency(request))
})

test('the order of fields makes no other body, their values do', () => {
  const same = readIdempotency({ ...request, body: { b: { d: null, c: [1, 2] }, a: 1 } })
  assert.deepEqual(same, readIdempotency(request))
  for (const body of [{ a: 2 }, { a: 1, b: { c: [2, 1], d: null } }, { a: '1', b: { c: [1, 2], d: null } }]) {
    assert.notEqual(readIdempotency({ ...request, body })?.fingerprint, same?.fingerprint)
  }
})

test('the same key of another caller or at another address is another key', () => {
  const scopes = [
    request,
    { ...request, principal: 'you' },
    { ...request, route: 'POST /v1/other' },
    { ...request, key: 'k-2' },
  ].map((one) => readIdempotency(one)?.scope)
  assert.equal(new Set(scopes).size, scopes.length)
})

test('a key that is none is refused', () => {
  for (const key of ['', '""', 'x'.repeat(256), 'ü', 'a\tb', ['a', 'b']]) {
    assert.throws(() => readIdempotency({ ...request, key }), { code: 'REQUEST_INVALID' }, String(key))
  }
})

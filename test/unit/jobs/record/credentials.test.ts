import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createVault } from '../../../../src/jobs/record/credentials.ts'

const secret = { registry: 'registry.example', username: 'bob', password: 'pass-word-1' }

test('what was sealed opens again, under its own name and key alone', () => {
  const key = randomBytes(32)
  const sealed = createVault(key).seal('job-1', secret)
  assert.deepEqual(createVault(key).open('job-1', sealed), secret)
  assert.throws(() => createVault(key).open('job-2', sealed), { code: 'CREDENTIALS_INVALID' })
  assert.throws(() => createVault(randomBytes(32)).open('job-1', sealed), { code: 'CREDENTIALS_INVALID' })
})

test('any changed, missing or added byte is noticed', () => {
  const vault = createVault(randomBytes(32))
  const bytes = Buffer.from(vault.seal('job-1', secret), 'base64')
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    assert.throws(() => vault.open('job-1', changed.toString('base64')), { code: 'CREDENTIALS_INVALID' }, `byte ${at}`)
    const cut = bytes.subarray(0, at).toString('base64')
    assert.throws(() => vault.open('job-1', cut), { code: 'CREDENTIALS_INVALID' }, `cut at ${at}`)
  }
})

test('the same secret looks different each time', () => {
  const vault = createVault(randomBytes(32))
  assert.notEqual(vault.seal('job-1', secret), vault.seal('job-1', secret))
})

test('a key that has not 32 bytes is refused', () => {
  assert.throws(() => createVault(randomBytes(31)), { code: 'CONFIG_INVALID' })
})

import assert from 'node:assert/strict'
import { createCipheriv, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createVault, SEALED_HEAD } from '../../../../src/jobs/record/credentials.ts'

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

/** As texts were sealed before they said under which key. */
function nameless(key: Uint8Array, name: string, value: unknown): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name))
  const text = Buffer.concat([cipher.update(JSON.stringify(value)), cipher.final()])
  return Buffer.concat([Buffer.from([1]), nonce, cipher.getAuthTag(), text]).toString('base64')
}

test('the first key seals and all of them open, also what does not say under which key it is', () => {
  const [old, fresh] = [randomBytes(32), randomBytes(32)]
  const vault = createVault([fresh, old])
  const before = createVault(old).seal('job-1', secret)
  assert.deepEqual(vault.open('job-1', before), secret)
  assert.deepEqual(vault.open('job-1', nameless(old, 'job-1', secret)), secret)
  assert.deepEqual(vault.open('job-1', nameless(fresh, 'job-1', secret)), secret)
  assert.throws(() => vault.open('job-2', nameless(old, 'job-1', secret)), { code: 'CREDENTIALS_INVALID' })
  const after = vault.seal('job-1', secret)
  assert.deepEqual(createVault(fresh).open('job-1', after), secret)
  assert.throws(
    () => createVault(old).open('job-1', after),
    /under a key \([0-9a-f]{8}\) that this process does not have/,
  )
})

test('what is not under the newest key is told by the beginning of its text', () => {
  const [old, fresh] = [randomBytes(32), randomBytes(32)]
  const vault = createVault([fresh, old])
  for (const [sealed, newest] of [
    [vault.seal('job-1', secret), true],
    [createVault(old).seal('job-1', secret), false],
    [nameless(fresh, 'job-1', secret), false],
    ['', false],
  ] as const) {
    assert.equal(vault.isNewest(sealed), newest)
    assert.equal(vault.isNewest(sealed.slice(0, SEALED_HEAD)), newest)
  }
})

test('no key at all is refused', () => {
  assert.throws(() => createVault([]), { code: 'CONFIG_INVALID' })
})

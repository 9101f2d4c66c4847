import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../../../src/lib/errors.ts'
import { createCallerCredential } from '../../../../src/oci/auth/caller-credential.ts'
import type { CredentialLookUp, RegistryCredential } from '../../../../src/oci/credentials/provider.ts'

const { signal } = new AbortController()
const login = (password: string): RegistryCredential => ({ kind: 'basic', username: 'ann', password })

function create(credential: RegistryCredential | CredentialLookUp | undefined, renew?: CredentialLookUp) {
  const shown: Array<RegistryCredential | undefined> = []
  return { shown, own: createCallerCredential({ credential, renew, onFound: (found) => void shown.push(found) }) }
}

test('requests that were refused at once share one renewal, and one that comes late takes what it found', async () => {
  let renewals = 0
  const { own, shown } = create(login('old'), async () => {
    renewals += 1
    return login('new')
  })
  const { age } = own
  assert.deepEqual(await Promise.all([own.renew(age, signal), own.renew(age, signal)]), [true, true])
  assert.equal(await own.renew(age, signal), true)
  assert.equal(renewals, 1)
  assert.deepEqual(shown, [login('old'), login('new')])
  assert.equal(await own.renew(own.age, signal), false, 'the new one was refused, and there is no other')
})

test('after a look-up that failed nothing is asked for ahead until one succeeds', async () => {
  let calls = 0
  const { own } = create(async () => {
    calls += 1
    if (calls === 1) throw new AppError('CREDENTIALS_INVALID', 'broken', { retry: 'transient' })
    return login('found')
  })
  assert.equal(own.mayBeFound, true)
  assert.equal(await own.findAhead(signal), undefined)
  assert.equal(await own.findAhead(signal), undefined)
  assert.deepEqual([calls, own.mayBeFound], [1, false])
  assert.deepEqual(await own.find(signal), login('found'))
  assert.deepEqual(await own.findAhead(signal), { credential: login('found') })
  assert.deepEqual([calls, own.mayBeFound], [2, true])
})

test('a cancel is no failure of the look-up that could be passed over', async () => {
  const { own } = create(async () => {
    throw new AppError('JOB_CANCELED', 'canceled')
  })
  await assert.rejects(own.findAhead(signal), { code: 'JOB_CANCELED' })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../../../src/lib/errors.ts'
import { createCallerCredential } from '../../../../src/oci/auth/caller-credential.ts'
import { createStepClock } from '../../../helpers/step-clock.ts'
import type { CredentialLookUp, RegistryCredential } from '../../../../src/oci/credentials/provider.ts'

const { signal } = new AbortController()
const login = (password: string): RegistryCredential => ({ kind: 'basic', username: 'ann', password })

function create(credential: RegistryCredential | CredentialLookUp | undefined, renew?: CredentialLookUp) {
  const shown: Array<RegistryCredential | undefined> = []
  const clock = createStepClock()
  const onFound = (found: RegistryCredential | undefined) => void shown.push(found)
  return { shown, clock, own: createCallerCredential({ credential, renew, clock, onFound }) }
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

test('one that is stale is looked up again ahead of its end, once for all, and goes on where that gives none', async () => {
  let turns = 0
  const lasting = (turn: number) => ({ ...login(`${turn}`), staleAt: clock.now() + 1000 }) as RegistryCredential
  const { own, clock, shown } = create(
    async () => lasting(0),
    async (_signal, refused) => {
      assert.equal(refused, undefined)
      turns += 1
      return turns === 1 ? own.current : lasting(turns)
    },
  )
  const first = await own.find(signal)
  clock.advance(999)
  assert.equal(await own.find(signal), first)
  clock.advance(1)
  assert.equal(await own.find(signal), first)
  const [one, other] = await Promise.all([own.find(signal), own.findAhead(signal)])
  assert.equal(turns, 2)
  assert.equal(one, other?.credential)
  assert.deepEqual(one, lasting(2))
  assert.equal(shown.length, 2)
})

test('who keeps what it derived is told what was refused', async () => {
  const told: Array<RegistryCredential | undefined> = []
  const { own } = create(login('old'), async (_signal, refused) => {
    told.push(refused)
    return login('new')
  })
  assert.equal(await own.renew(own.age, signal), true)
  assert.deepEqual(told, [login('old')])
})

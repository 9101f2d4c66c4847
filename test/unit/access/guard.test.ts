import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createAuthenticator, type TokenSource } from '../../../src/access/authenticator.ts'
import { createAccessGuard } from '../../../src/access/guard.ts'
import type { Principal } from '../../../src/access/principal.ts'
import { AppError } from '../../../src/lib/errors.ts'
import { waitFor } from '../../helpers/wait-for.ts'

const ADA: Principal = { name: 'ada', scopes: new Set(['jobs:read']), limits: {}, credential: 'some:ada' }

/** A source of whatever is set, whose changes are told by hand. */
function started(t: TestContext) {
  const known = new Map<string, Principal>([[ADA.credential, ADA]])
  const asked: string[] = []
  let tell = () => {}
  let away = false
  const source: TokenSource = {
    kind: 'some',
    authenticate: async () => undefined,
    async current(credential) {
      asked.push(credential)
      if (away) throw new AppError('QUEUE_UNAVAILABLE', 'away')
      return known.get(credential)
    },
    onChange(listener) {
      tell = listener
      return () => (tell = () => {})
    },
  }
  const guard = createAccessGuard(createAuthenticator([source]))
  t.after(() => guard.close())
  return { guard, known, asked, tell: () => tell(), setAway: (is: boolean) => (away = is) }
}

const endOf = (ended: AbortSignal) => waitFor('the end', () => ended.aborted)

test('what is open ends when its credential is taken away, and nothing else does', async (t) => {
  const { guard, known, tell, asked } = started(t)
  known.set('some:bob', { ...ADA, name: 'bob', credential: 'some:bob' })
  const ada = [guard.watch(ADA), guard.watch(ADA)]
  const bob = guard.watch({ ...ADA, name: 'bob', credential: 'some:bob' })
  known.delete(ADA.credential)
  await waitFor('the first looks', () => asked.length >= 3)
  tell()
  for (const { ended } of ada) {
    await endOf(ended)
    assert.equal((ended.reason as AppError).code, 'UNAUTHENTICATED')
  }
  await assert.rejects(guard.requireCurrent(ADA), { code: 'UNAUTHENTICATED' })
  assert.equal(bob.ended.aborted, false)
  await guard.requireCurrent({ ...ADA, name: 'bob', credential: 'some:bob' })
})

test('a change is asked about once for all that a credential has open', async (t) => {
  const { guard, asked, tell } = started(t)
  const watches = Array.from({ length: 50 }, () => guard.watch(ADA))
  await waitFor('the first looks', () => asked.length === 50)
  asked.length = 0
  tell()
  await waitFor('the answer', () => asked.length > 0)
  assert.equal(asked.length, 1)
  for (const watch of watches) watch.stop()
  asked.length = 0
  tell()
  assert.equal(asked.length, 0)
})

test('what ended before anybody watched ends the watch', async (t) => {
  const { guard, known } = started(t)
  known.clear()
  await endOf(guard.watch(ADA).ended)
})

test('a credential that lets do less, or is of another by now, ends what is open; more does not', async (t) => {
  const changes: Array<[Partial<Principal>, boolean]> = [
    [{ scopes: new Set(['jobs:read', 'deploy']) }, false],
    [{ scopes: new Set(['jobs:write']) }, false],
    [{ scopes: new Set(['deploy']) }, true],
    [{ limits: { kinds: ['pull'] } }, true],
    [{ name: 'bob' }, true],
  ]
  for (const [change, ends] of changes) {
    const { guard, known, asked, tell } = started(t)
    const { ended } = guard.watch(ADA)
    await waitFor('the first look', () => asked.length === 1)
    known.set(ADA.credential, { ...ADA, ...change })
    tell()
    await assert[ends ? 'rejects' : 'doesNotReject'](guard.requireCurrent(ADA))
    assert.equal(ended.aborted, ends, Object.keys(change).join())
  }
})

test('a credential ends by its time, without anybody telling', async (t) => {
  const { guard } = started(t)
  const { ended } = guard.watch({ ...ADA, expiresAt: Date.now() + 30 })
  const later = guard.watch({ ...ADA, expiresAt: Date.now() + 2 ** 40 })
  await endOf(ended)
  assert.equal(later.ended.aborted, false)
})

test('while nobody can tell what is open stays open, and nothing new is let in', async (t) => {
  const { guard, known, tell, setAway } = started(t)
  const { ended } = guard.watch(ADA)
  setAway(true)
  known.clear()
  tell()
  await assert.rejects(guard.requireCurrent(ADA), { code: 'QUEUE_UNAVAILABLE' })
  assert.equal(ended.aborted, false)
  setAway(false)
  tell()
  await endOf(ended)
})

test('a change that nobody told of is found by itself', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const { guard, known, asked } = started(t)
  const { ended } = guard.watch(ADA)
  while (asked.length === 0) await nextTurn()
  known.clear()
  t.mock.timers.tick(29_000)
  await nextTurn()
  assert.equal(ended.aborted, false)
  t.mock.timers.tick(1000)
  await nextTurn()
  assert.equal(ended.aborted, true)
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createAuthenticator, type TokenSource } from '../../src/access/authenticator.ts'
import type { Principal } from '../../src/access/principal.ts'
import { createSessions } from '../../src/access/sessions.ts'
import { openAccessConnection } from '../../src/jobs/access/connection.ts'
import { createSessionRecords, type SessionRecordsOptions } from '../../src/jobs/access/session-records.ts'
import { type Cleanup, defer } from '../helpers/cleanup.ts'
import { startJobs } from '../helpers/redis/jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'

const HOUR = 3_600_000

/** Tokens that a test makes and takes away. */
function tokensInMemory() {
  const known = new Map<string, Principal>()
  const source: TokenSource = {
    kind: 'test',
    authenticate: async (token) => known.get(`test:${token}`),
    current: async (credential) => known.get(credential),
    onChange: () => () => undefined,
  }
  const add = (name: string, changes: Partial<Principal> = {}): Principal => {
    const principal = { name, scopes: new Set(['jobs:read']), limits: {}, credential: `test:${name}`, ...changes }
    known.set(principal.credential, principal)
    return principal
  }
  return { add, known, authenticator: createAuthenticator([source]) }
}

async function started(t: Cleanup, most?: SessionRecordsOptions['most']) {
  const { raw, clock, options } = await startJobs(t)
  const { add, known, authenticator } = tokensInMemory()
  const open = () => {
    const connection = openAccessConnection(options)
    defer(t, () => connection.close())
    const records = createSessionRecords(connection, { clock, ...(most ? { most } : {}) })
    return { connection, records, sessions: createSessions({ records, tokens: authenticator, clock }) }
  }
  const keys = async () => (await raw.keys('{layerd}:sessions*')).toSorted()
  return { ...open(), open, add, known, raw, clock, keys }
}

describe('sessions of browsers', () => {
  test('one stands for its token, as that is now, under a credential of its own', async (t) => {
    const { sessions, add, known } = await started(t)
    const ada = add('ada')
    const { secret, principal } = await sessions.begin(ada)
    assert.match(principal.credential, /^session:[\w-]{43}$/)
    assert.ok(!principal.credential.includes(secret))
    assert.deepEqual(await sessions.open(secret), principal)
    assert.deepEqual(await sessions.current(principal.credential), principal)
    assert.equal(await sessions.authenticate(secret), undefined, 'it is no bearer token')
    add('ada', { scopes: new Set(['*']), limits: { kinds: ['pull'] } })
    const now = await sessions.open(secret)
    assert.deepEqual([now?.name, now?.scopes, now?.limits], ['ada', new Set(['*']), { kinds: ['pull'] }])

    known.clear()
    assert.equal(await sessions.current(principal.credential), undefined)
    assert.equal(await sessions.open(secret), undefined)
    add('ada')
    assert.equal(await sessions.open(secret), undefined, 'what ended does not begin again')
  })

  test('log-out ends it in every process, and is heard there', async (t) => {
    const { sessions, open, add, keys } = await started(t)
    const other = open().sessions
    const { secret, principal } = await sessions.begin(add('ada'))
    const kept = await sessions.begin(add('eve'))
    let heard = 0
    defer(
      t,
      other.onChange(() => (heard += 1)),
    )
    await waitFor('the subscription', async () => {
      await sessions.begin(add('bob', { expiresAt: Date.now() + HOUR })).then((one) => sessions.end(one.secret))
      return heard > 0
    })
    heard = 0
    assert.equal(await other.current(principal.credential).then((who) => who?.name), 'ada')
    assert.equal(await sessions.end(secret), true)
    assert.equal(await other.open(secret), undefined)
    assert.equal(await other.current(principal.credential), undefined)
    await waitFor('the other process to hear of it', async () => heard > 0)
    assert.equal(await sessions.end(secret), false)
    assert.equal((await other.open(kept.secret))?.name, 'eve')
    assert.equal((await keys()).length, 3, 'the one that is left, the list of all and its owner’s')
  })

  test('twelve hours without a use end it, and seven days whatever was used', async (t) => {
    const { sessions, add, clock, keys } = await started(t)
    const { secret, principal } = await sessions.begin(add('ada'))
    const idle = await sessions.begin(add('ada'))
    clock.advance(11 * HOUR)
    assert.equal((await sessions.current(idle.principal.credential))?.name, 'ada')
    for (let hours = 11; hours < 7 * 24; hours += 11) {
      assert.ok(await sessions.open(secret), `after ${hours} hours`)
      clock.advance(11 * HOUR)
    }
    assert.equal(await sessions.open(idle.secret), undefined, 'to be asked whether it still is was no use')
    assert.equal(await sessions.current(principal.credential), undefined)
    assert.equal(await sessions.open(secret), undefined)
    assert.deepEqual(await keys(), [])
  })

  test('it ends with its token, and each of its keys by itself', async (t) => {
    const { sessions, add, clock, keys, raw } = await started(t)
    const { secret, principal } = await sessions.begin(add('ada', { expiresAt: clock.now() + HOUR }))
    assert.ok((principal.expiresAt ?? 0) <= clock.now() + HOUR)
    for (const key of await keys()) {
      const lives = await raw.pttl(key)
      if (key !== '{layerd}:sessions') assert.ok(lives > 0 && lives <= HOUR, `${key} ${lives}`)
    }
    clock.advance(HOUR)
    assert.equal(await sessions.open(secret), undefined)
  })

  test('a use is written down once a minute', async (t) => {
    const { sessions, add, clock, raw } = await started(t)
    const { secret, principal } = await sessions.begin(add('ada'))
    const key = `{layerd}:sessions:${principal.credential.slice('session:'.length)}`
    const used = () => raw.hget(key, 'used')
    const first = await used()
    clock.advance(30_000)
    await sessions.open(secret)
    assert.equal(await used(), first)
    clock.advance(31_000)
    await sessions.current(principal.credential)
    assert.equal(await used(), first)
    await sessions.open(secret)
    assert.notEqual(await used(), first)
    assert.ok((await raw.pttl(key)) > 11.9 * HOUR)
  })

  test('a Redis that takes nothing more lets in who has one', async (t) => {
    const { sessions, add, clock, raw } = await started(t)
    const { secret, principal } = await sessions.begin(add('ada'))
    const used = () => raw.hget(`{layerd}:sessions:${principal.credential.slice('session:'.length)}`, 'used')
    const before = await used()
    clock.advance(120_000)
    await raw.config('SET', 'maxmemory', '100kb')
    assert.equal((await sessions.open(secret))?.name, 'ada')
    assert.equal(await used(), before, 'it was refused')
    assert.equal(await sessions.end(secret), true)
  })

  test('of too many the ones go that nobody used for longest', async (t) => {
    const { sessions, add, clock, raw } = await started(t, { ofOwner: 3, ofAll: 5 })
    const begin = async (name: string) => {
      clock.advance(61_000)
      return (await sessions.begin(add(name))).secret
    }
    const left = async (secrets: string[]) => {
      const found = await Promise.all(secrets.map((secret) => sessions.open(secret)))
      return found.map((who) => who?.name ?? '-').join(' ')
    }
    const ada = [await begin('ada'), await begin('ada'), await begin('ada')]
    clock.advance(61_000)
    await sessions.open(ada[0] ?? '')
    ada.push(await begin('ada'))
    assert.equal(await left(ada), 'ada - ada ada')
    const others = [await begin('bob'), await begin('bob')]
    assert.equal(await left([...ada, ...others]), 'ada - ada ada bob bob')
    others.push(await begin('eve'))
    assert.equal((await left([...ada, ...others])).split('-').length, 3, 'one of all had to go')
    assert.equal(await raw.zcard('{layerd}:sessions'), 5)
  })

  test('no secret lies in Redis', async (t) => {
    const { sessions, add, raw } = await started(t)
    const { secret } = await sessions.begin(add('ada'))
    await sessions.open(secret)
    let [seen, size] = ['', 0]
    for (const key of await raw.keys('*')) {
      const dumped = await raw.dumpBuffer(key)
      size += dumped.byteLength
      seen += `${key} ${dumped.toString('latin1')}`
    }
    assert.ok(size > 100)
    for (const form of [secret, Buffer.from(secret).toString('base64'), Buffer.from(secret).toString('hex')])
      assert.ok(!seen.includes(form))
    assert.ok(!seen.includes(Buffer.from(secret, 'base64url').toString('latin1')))
  })

  test('what is no secret costs no look-up', async (t) => {
    const { sessions, connection } = await started(t)
    connection.close()
    for (const secret of [
      '',
      'a',
      'a'.repeat(42),
      'a'.repeat(44),
      `${'a'.repeat(42)}=`,
      'é'.repeat(43),
      'x'.repeat(1e6),
    ])
      assert.equal(await sessions.open(secret), undefined)
    await assert.rejects(sessions.open('a'.repeat(43)), { code: 'QUEUE_UNAVAILABLE' })
  })
})

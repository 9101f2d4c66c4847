import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { createIssuedTokens } from '../../src/access/issued-tokens.ts'
import { openAccessConnection } from '../../src/jobs/access/connection.ts'
import { createTokenRecords } from '../../src/jobs/access/token-records.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { defer } from '../helpers/cleanup.ts'
import { newJob } from '../helpers/redis/jobs.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { type IssuedAnswer, startTokenApp } from '../helpers/streams/token-app.ts'
import { tokenLine } from '../helpers/streams/tokens.ts'
import { waitFor } from '../helpers/wait-for.ts'

describe('tokens that layerd issues', () => {
  test('one lets in as what it was issued for, and its secret is shown once', async (t) => {
    const { post, ask, jobs } = await startTokenApp(t)
    const limits = { registries: ['r.example:5000'], repositories: ['r.example:5000/team/**'], kinds: ['pull'] }
    const wish = { name: 'ci', scopes: ['packages:read', 'jobs:read'], limits, description: 'of the pipeline' }
    const answer = await post({ ...wish, expiresInSeconds: 3600 })
    const { token, ...told } = answer.json<IssuedAnswer>()
    assert.equal(answer.statusCode, 201)
    assert.equal(answer.headers['cache-control'], 'no-store')
    assert.equal(answer.headers['location'], `/v1/tokens/${told.id}`)
    assert.match(token, new RegExp(`^ldt_${told.id}_[\\w-]{43}$`))
    assert.partialDeepStrictEqual(told, { ...wish, scopes: ['jobs:read', 'packages:read'], createdBy: 'root' })
    const session = (await ask(token, { url: '/v1/session' })).json()
    assert.deepEqual(session, {
      principal: 'ci',
      scopes: ['jobs:read', 'packages:read'],
      limits,
      credential: { kind: 'issued', id: told.id },
      expiresAt: told.expiresAt,
    })
    const { lastUsedAt } = await waitFor('its use to be noted', async () => {
      const found = (await ask('root', { url: `/v1/tokens/${told.id}` })).json<IssuedAnswer>()
      return found.lastUsedAt === null ? undefined : found
    })
    const list = await ask('root', { url: '/v1/tokens' })
    assert.deepEqual(list.json(), { items: [{ ...told, lastUsedAt }] })
    const secret = token.split('_').slice(2).join('_')
    const kept = JSON.stringify(await jobs.raw.hgetall('{layerd}:tokens'))
    for (const text of [list.body, JSON.stringify(session), kept]) assert.ok(!text.includes(secret), text)
  })

  test('no two are kept alike, not even those of one wish', async (t) => {
    const { issue, jobs } = await startTokenApp(t)
    const issued = await Promise.all(Array.from({ length: 8 }, () => issue({})))
    const { '': _, ...kept } = await jobs.raw.hgetall('{layerd}:tokens')
    const records = Object.values(kept).map((text) => JSON.parse(text) as Record<string, string>)
    for (const values of [
      issued.map(({ token }) => token),
      records.map(({ hash }) => hash),
      records.map(({ salt }) => salt),
    ]) {
      assert.equal(new Set(values).size, 8)
    }
  })

  test('whatever is no token of its own lets nobody in, and asks Redis only where it looks like one', async (t) => {
    const { issue, status, jobs, ask } = await startTokenApp(t)
    const [one, other] = [await issue({}), await issue({})]
    const [secret, otherSecret] = [one, other].map(({ token }) => token.split('_').slice(2).join('_'))
    const built = [
      `ldt_${one.id}_${otherSecret}`,
      `ldt_${'0'.repeat(16)}_${secret}`,
      `ldt_${one.id}_${(secret ?? '').slice(0, -1)}${secret?.endsWith('A') ? 'B' : 'A'}`,
    ]
    for (const text of built) assert.equal(await status(text), 401, text)
    await jobs.redis.kill()
    const garbage = [1, 10, 100, 1000, 10_000].map((size) => randomBytes(size).toString('base64url'))
    for (const text of [
      ...garbage,
      ...garbage.map((text) => `ldt_${text}`),
      `ldt_${one.id}`,
      `ldt_${one.id}_`,
      one.token.toUpperCase(),
      `${one.token}x`,
      `LDT${one.token.slice(3)}`,
      `ldt__${secret}`,
    ]) {
      const answer = await ask(text, { url: '/v1/session' })
      assert.equal(answer.statusCode, 401, text.slice(0, 60))
      assert.equal(answer.headers['www-authenticate'], 'Bearer realm="layerd", error="invalid_token"')
    }
  })

  test('a look at a job reads the token once, and a wait for the job once more', async (t) => {
    const { issue, ask, status, jobs } = await startTokenApp(t)
    const { id, token } = await issue({})
    assert.equal(await status(token), 200)
    await waitFor('its use to be noted', async () => (await jobs.raw.hget('{layerd}:tokens:used', id)) ?? undefined)
    const { job } = await jobs.queue.create(newJob({ principal: 'ci' }))
    const asked: string[] = []
    const monitor = await jobs.raw.monitor()
    defer(t, () => monitor.disconnect())
    monitor.on('monitor', (_time: string, command: string[]) => void asked.push(command.join(' ').toLowerCase()))
    /** Of the token alone; all that was asked before the mark has been seen when the mark has. */
    const reads = async (headers: Record<string, string> = {}) => {
      asked.length = 0
      assert.equal((await ask(token, { url: `/v1/jobs/${job.id}`, headers })).statusCode, 200)
      await jobs.raw.echo('mark')
      await waitFor('the mark to be seen', async () => asked.includes('echo mark'))
      return asked.filter((command) => command === `hget {layerd}:tokens ${id}`).length
    }
    assert.equal(await reads(), 1)
    assert.equal(await reads({ 'if-none-match': '"another"', prefer: 'wait=60' }), 2)
  })

  test('one that was taken away, or has expired, lets nobody in from the next request on, in any process', async (t) => {
    const { issue, status, revoke, jobs } = await startTokenApp(t)
    const connection = openAccessConnection(jobs.options)
    defer(t, () => connection.close())
    const records = createTokenRecords(connection)
    const elsewhere = createIssuedTokens(records, jobs.clock)
    const [gone, stays, expires] = [await issue({}), await issue({}), await issue({ expiresInSeconds: 60 })]
    for (const { token } of [gone, stays, expires]) assert.equal(await status(token), 200)
    assert.equal((await elsewhere.authenticate(gone.token))?.name, 'ci')
    assert.equal((await revoke(gone.id)).statusCode, 204)
    assert.equal(await elsewhere.authenticate(gone.token), undefined)
    assert.equal(await elsewhere.current(`issued:${gone.id}`), undefined)
    assert.deepEqual([await status(gone.token), await status(stays.token)], [401, 200])
    assert.equal((await revoke(gone.id)).statusCode, 404)
    jobs.clock.advance(61_000)
    assert.deepEqual([await status(expires.token), await status(stays.token)], [401, 200])
    assert.equal(await elsewhere.current(`issued:${expires.id}`), undefined)
    // A use that was on its way brings nothing back.
    await records.noteUse(gone.id, new Date().toISOString())
    assert.deepEqual(Object.keys(await jobs.raw.hgetall('{layerd}:tokens:used')).includes(gone.id), false)
  })

  test('while Redis is away nobody is let in by one, and nobody is told that theirs is none', async (t) => {
    const { issue, app, jobs, status } = await startTokenApp(t)
    const { token } = await issue({})
    await jobs.redis.kill()
    const headers = { authorization: `Bearer ${token}` }
    const answer = await app.inject({ url: '/v1/session', headers })
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [503, 'QUEUE_UNAVAILABLE'])
    assert.equal(await status('root', '/v1/session'), 200, 'those of the file need no Redis')
    await jobs.redis.start()
    assert.equal(await status(token, '/v1/session'), 200)
  })

  test('a Redis without memory lets in and takes away, and issues nothing', async (t) => {
    const { issue, jobs, tokens, app, status } = await startTokenApp(t)
    const [{ token, id }, other] = [await issue({}), await issue({})]
    await jobs.raw.config('SET', 'maxmemory', '1')
    const headers = { authorization: 'Bearer root' }
    const payload = { name: 'ci', scopes: ['jobs:read'] }
    const full = await app.inject({ method: 'POST', url: '/v1/tokens', payload, headers })
    assert.deepEqual([full.statusCode, full.json<Problem>().code], [503, 'QUEUE_UNAVAILABLE'])
    assert.equal(await status(token, '/v1/session'), 200)
    assert.equal(await waitFor('Redis to answer', () => tokens.revoke(id)), true)
    assert.deepEqual([await status(token, '/v1/session'), await status(other.token, '/v1/session')], [401, 200])
  })

  test('their use is told to the minute', async (t) => {
    const { issue, status, jobs, tokens } = await startTokenApp(t)
    const { token, id } = await issue({})
    const used = () => jobs.raw.hget('{layerd}:tokens:used', id)
    await status(token)
    const first = await waitFor('the first use', used)
    for (let times = 0; times < 5; times += 1) await status(token)
    jobs.clock.advance(61_000)
    await status(token)
    await waitFor('the next one', async () => (await used()) !== first)
    assert.ok(Date.parse((await tokens.get(id))?.lastUsedAt ?? '') - Date.parse(first ?? '') >= 61_000)
  })

  test('where no token is asked for none is issued', async (t) => {
    const { app } = await startApp(t)
    const payload = { name: 'ci', scopes: ['*'] }
    const answer = await app.inject({ method: 'POST', url: '/v1/tokens', payload })
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [409, 'TOKENS_NOT_REQUIRED'])
    assert.match(String(answer.json<Problem>().hint), /LAYERD_TOKENS_FILE/)
    assert.deepEqual((await app.inject('/v1/tokens')).json(), { items: [] })
  })

  test('pages of them come by name', async (t) => {
    const { issue, ask } = await startTokenApp(t, tokenLine('low', 'jobs:read'))
    for (const name of ['c', 'a', 'b']) await issue({ name })
    const page = async (query: string) =>
      (await ask('root', { url: `/v1/tokens?${query}` })).json<{ items: IssuedAnswer[]; nextPageToken?: string }>()
    const first = await page('pageSize=2')
    const second = await page(`pageSize=2&pageToken=${first.nextPageToken}`)
    const names = [...first.items, ...second.items].map(({ name }) => name)
    assert.deepEqual([names, second.nextPageToken], [['a', 'b', 'c'], undefined])
    assert.equal((await ask('low', { url: '/v1/tokens' })).statusCode, 403)
  })
})

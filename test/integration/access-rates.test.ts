import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { InjectOptions } from 'fastify'
import type { AuditRecord } from '../../src/access/audit.ts'
import type { RateSettings } from '../../src/access/rates.ts'
import { openAccessConnection } from '../../src/jobs/access/connection.ts'
import { createRateCounts } from '../../src/jobs/access/rate-counts.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { defer } from '../helpers/cleanup.ts'
import { startRedis, type TestRedis } from '../helpers/redis/redis.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tokensFileOf } from '../helpers/streams/tokens.ts'
import { waitFor } from '../helpers/wait-for.ts'

/** As long as the slowest machine needs. */
const WINDOW_MS = 600_000
const TOKENS = { ann: '*', bob: 'jobs:read' }

async function counterOver(t: TestContext, redis: TestRedis) {
  const connection = openAccessConnection({ redis: { socketPath: redis.socketPath } })
  defer(t, () => connection.close())
  const counter = createRateCounts(connection)
  const once = { max: 1, windowMs: 1 }
  await waitFor('the counter to be connected', () => counter.count('none', once))
  return counter
}

async function started(t: TestContext, settings: RateSettings, tokens: Record<string, string> | null = TOKENS) {
  const redis = await startRedis(t)
  const counter = await counterOver(t, redis)
  const tokensFile = tokens === null ? undefined : await tokensFileOf(t, tokens)
  const bed = await startApp(t, {
    rates: { ...settings, counter, windowMs: WINDOW_MS },
    ...(tokensFile === undefined ? {} : { tokensFile }),
  })
  const ask = async (token: string | undefined, url: string, more: InjectOptions = {}) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    return await bed.app.inject({ url, ...more, headers: { ...headers, ...(more.headers as object) } })
  }
  return { ...bed, ask, counts: redis, counter }
}

type Answer = Awaited<ReturnType<Awaited<ReturnType<typeof started>>['ask']>>

function assertLimited(answer: Answer, says: RegExp): void {
  const problem = answer.json<Problem>()
  assert.deepEqual([answer.statusCode, problem.code, problem.retryable], [429, 'RATE_LIMITED', true])
  assert.match(problem.detail ?? '', says)
  const seconds = Number(answer.headers['retry-after'])
  assert.ok(seconds >= 1 && seconds <= 600, `${seconds}`)
}

describe('requests', () => {
  test('of each caller are counted for themselves, in all processes, also those that are refused', async (t) => {
    const { ask, counts } = await started(t, { perPrincipal: 4, perAddress: 2 })
    const first = await ask('ann', '/v1/session')
    assert.equal(first.statusCode, 200)
    assert.equal(first.headers['ratelimit-policy'], '"principal";q=4;w=600')
    assert.match(String(first.headers['ratelimit']), /^"principal";r=3;t=\d+$/)
    // Another process.
    const { current } = await (await counterOver(t, counts)).count('principal:ann', { max: 4, windowMs: WINDOW_MS })
    assert.equal(current, 2)
    assert.equal((await ask('bob', '/v1/keys')).statusCode, 403)
    assert.equal((await ask('ann', '/v1/session')).statusCode, 200)
    const last = await ask('ann', '/v1/session')
    assert.match(String(last.headers['ratelimit']), /^"principal";r=0;/)
    assertLimited(await ask('ann', '/v1/session'), /^"ann" has sent more than 4 requests in 600 s$/)
    const bobs = [await ask('bob', '/v1/keys'), await ask('bob', '/v1/keys'), await ask('bob', '/v1/keys')]
    assert.deepEqual(
      bobs.map(({ statusCode }) => statusCode),
      [403, 403, 403],
    )
    assertLimited(await ask('bob', '/v1/keys'), /"bob"/)
  })

  test('that name nobody are counted by their address; probes are not', async (t) => {
    const { ask, audit } = await started(t, { perPrincipal: 100, perAddress: 2 })
    assert.equal((await ask(undefined, '/v1/jobs')).statusCode, 401)
    const page = await ask(undefined, '/docs/errors')
    assert.equal(page.statusCode, 200)
    assert.match(String(page.headers['ratelimit']), /^"address";r=0;t=\d+$/)
    assertLimited(
      await ask(undefined, '/docs/errors'),
      /more than 2 requests without a token came from 127\.0\.0\.1 in 600 s/,
    )
    assertLimited(await ask(undefined, '/v1/jobs'), /without a token/)
    for (const url of ['/livez', '/version', '/livez']) assert.equal((await ask(undefined, url)).statusCode, 200)
    assert.equal((await ask('ann', '/v1/session')).statusCode, 200)
    await waitFor('the audit to have it', async () => {
      const { items } = await audit.trail.list({ outcomes: ['refused'] }, { size: 50 })
      return items.some(({ code }) => code === 'UNAUTHENTICATED') && limitedOnes(items) === 1
    })
  })

  test('are not counted where nobody needs a token, nor where the setting is 0', async (t) => {
    const open = await started(t, { perPrincipal: 1, perAddress: 1 }, null)
    const free = await started(t, { perPrincipal: 0, perAddress: 0 })
    for (let at = 0; at < 3; at += 1) {
      const answers = [await open.ask(undefined, '/v1/session'), await free.ask('ann', '/v1/session')]
      for (const answer of answers) {
        assert.equal(answer.statusCode, 200)
        assert.equal(answer.headers['ratelimit'], undefined)
      }
    }
  })

  test('are let through while Redis is away, and wait for it but once', async (t) => {
    const { ask, counts } = await started(t, { perPrincipal: 1, perAddress: 1 })
    assert.equal((await ask('ann', '/v1/session')).statusCode, 200)
    counts.pause()
    t.after(() => counts.resume())
    for (let at = 0; at < 20; at += 1) assert.equal((await ask('ann', '/v1/session')).statusCode, 200)
    counts.resume()
    await waitFor('it to be counted again', async () => (await ask('ann', '/v1/session')).statusCode === 429)
  })
})

const limitedOnes = (items: readonly AuditRecord[]) => items.filter(({ code }) => code === 'RATE_LIMITED').length

describe('log-ins that fail', () => {
  test('wait longer and longer beyond thirty in a minute, and never keep out who has a good token', async (t) => {
    const { ask, counter } = await started(t, { perPrincipal: 1000, perAddress: 1000 })
    for (let at = 0; at < 30; at += 1) assert.equal((await ask(`guess-${at}`, '/v1/jobs')).statusCode, 401)
    assertLimited(await ask('guess', '/v1/jobs'), /the token is not known.*more than 30 such came from 127\.0\.0\.1/)
    const body = { method: 'POST', url: '/v1/session', payload: { token: 'guess' } } as const
    const logIn = await ask(undefined, '/v1/session', body)
    assert.equal(logIn.json<Problem>().code, 'RATE_LIMITED')
    assert.equal((await ask('ann', '/v1/session')).statusCode, 200)
    for (let at = 0; at < 60; at += 1) await ask('guess', '/v1/jobs')
    const later = await ask('guess', '/v1/jobs')
    assert.ok(Number(later.headers['retry-after']) > 1000, String(later.headers['retry-after']))
    const rate = { max: 30, windowMs: WINDOW_MS, mostMs: 3_600_000 }
    let longest = 0
    for (let at = 0; at < 130; at += 1) longest = (await counter.count('failed:127.0.0.1', rate)).ttlMs
    assert.equal(longest, 3_600_000)
    assert.equal((await ask('ann', '/v1/session')).statusCode, 200)
  })

  test('by others behind the same proxy keep nobody with a good token from a log-in, which is counted as theirs', async (t) => {
    const { ask } = await started(t, { perPrincipal: 2, perAddress: 1 })
    const logIn = async (token?: string) =>
      ask(undefined, '/v1/session', { method: 'POST', payload: token === undefined ? {} : { token } })
    assert.equal((await logIn()).statusCode, 401)
    assertLimited(await logIn(), /without a token came from/)
    assertLimited(await logIn('guess'), /without a token came from/)
    assertLimited(await ask(undefined, '/docs/errors'), /without a token came from/)
    assert.equal((await logIn('ann')).statusCode, 201)
    assert.equal((await ask('ann', '/v1/session', { method: 'POST' })).statusCode, 201)
    assertLimited(await logIn('ann'), /^"ann" has sent/)
  })
})

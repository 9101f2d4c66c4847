import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, test, type TestContext } from 'node:test'
import { createIssuedTokens, MAX_TOKENS } from '../../src/access/issued-tokens.ts'
import { openAccessConnection } from '../../src/jobs/access/connection.ts'
import { createTokenRecords } from '../../src/jobs/access/token-records.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { newJob } from '../helpers/redis/jobs.ts'
import { defer } from '../helpers/cleanup.ts'
import { type IssuedAnswer, startTokenApp } from '../helpers/streams/token-app.ts'
import { tokenLine } from '../helpers/streams/tokens.ts'

const TEAM = { repositories: ['r.example/team/**'] }

/** Admins of tokens, who have less than root. */
async function started(t: TestContext) {
  const bed = await startTokenApp(
    t,
    tokenLine('lead', 'tokens:admin,jobs:write,packages:read repositories=r.example/team/** kinds=pull,copy') +
      tokenLine('wide', 'tokens:admin,jobs:read') +
      tokenLine('seer', 'tokens:admin,jobs:read,system:admin'),
  )
  const refused = async (payload: object, by = 'root') => {
    const answer = await bed.post({ name: 'ci', scopes: ['jobs:read'], ...payload }, by)
    const { code, detail, hint = '', errors } = answer.json<Problem>()
    return { status: answer.statusCode, code, text: `${detail} ${hint}`, pointer: errors?.[0]?.pointer }
  }
  return { ...bed, refused }
}

describe('what tokens are issued for', () => {
  test('what makes no sense is told by its place', async (t) => {
    const { refused, ask } = await started(t)
    const cases: Array<[object, string]> = [
      [{ scopes: ['jobs:read', 'jobs:everything'] }, '/scopes/1'],
      [{ scopes: [] }, '/scopes'],
      [{ scopes: ['jobs:read', 'jobs:read'] }, '/scopes'],
      [{ scopes: 'jobs:read' }, '/scopes'],
      [{ name: '' }, '/name'],
      [{ name: 'a b' }, '/name'],
      [{ name: 'oidc:ann' }, '/name'],
      [{ name: 'x'.repeat(129) }, '/name'],
      [{ limits: { kinds: ['pull', 'guess'] } }, '/limits/kinds/1'],
      [{ limits: { kinds: [] } }, '/limits/kinds'],
      [{ limits: { repositories: ['team/**/x'] } }, '/limits/repositories/0'],
      [{ limits: { repositories: ['r.example'] } }, '/limits/repositories/0'],
      [{ limits: { repositories: ['r example/a'] } }, '/limits/repositories/0'],
      [{ limits: { repositories: Array.from({ length: 51 }, (_, at) => `r.example/${at}`) } }, '/limits/repositories'],
      [{ limits: { registries: ['r.example/team'] } }, '/limits/registries/0'],
      [{ limits: { hosts: ['r.example'] } }, '/limits/hosts'],
      [{ expiresAt: '2020-01-01T00:00:00Z' }, '/expiresAt'],
      [{ expiresAt: 'tomorrow' }, '/expiresAt'],
      [{ expiresInSeconds: 0 }, '/expiresInSeconds'],
      [{ expiresInSeconds: 1e10 }, '/expiresInSeconds'],
      [{ expiresInSeconds: 60, expiresAt: '2120-01-01T00:00:00Z' }, '/expiresAt'],
      [{ description: 'a\u001b[2J' }, '/description'],
      [{ description: 'x'.repeat(501) }, '/description'],
      [{ token: 'mine' }, '/token'],
    ]
    for (const [payload, pointer] of cases) {
      const { status, pointer: found } = await refused(payload)
      assert.deepEqual([status, found], [400, pointer], JSON.stringify(payload))
    }
    assert.match((await refused({ scopes: ['jobs:everything'] })).text, /one of \*, jobs:read, .*audit:read/)
    assert.deepEqual((await ask('root', { url: '/v1/tokens' })).json(), { items: [] })
  })

  test('names of others are not given', async (t) => {
    const { refused, issue, setLines } = await started(t)
    for (const name of ['anonymous', 'root', 'lead']) {
      const { status, code } = await refused({ name })
      assert.deepEqual([status, code], [409, 'TOKEN_NAME_TAKEN'], name)
    }
    await issue({ name: 'free' })
    await setLines(tokenLine('free', 'jobs:read'))
    assert.equal((await refused({ name: 'free' })).code, 'TOKEN_NAME_TAKEN', 'the file has it by now')
  })

  test('nobody gives more than they have', async (t) => {
    const { refused, issue } = await started(t)
    const inside = { repositories: ['r.example/team/a'], kinds: ['pull'] }
    const cases: Array<[string, object, string]> = [
      ['lead', { scopes: ['*'], limits: inside }, 'SCOPE_MISSING'],
      ['lead', { scopes: ['packages:write'], limits: inside }, 'SCOPE_MISSING'],
      ['lead', { limits: { kinds: ['pull'] } }, 'TOKEN_LIMITED'],
      ['lead', { limits: TEAM }, 'TOKEN_LIMITED'],
      ['lead', { limits: { ...inside, repositories: ['r.example/other'] } }, 'TOKEN_LIMITED'],
      ['lead', { limits: { ...inside, kinds: ['publish'] } }, 'TOKEN_LIMITED'],
      ['lead', {}, 'TOKEN_LIMITED'],
      ['wide', { limits: TEAM }, 'SCOPE_MISSING'],
      ['wide', { limits: { registries: ['r.example'] } }, 'SCOPE_MISSING'],
      ['wide', { scopes: ['system:read'] }, 'SCOPE_MISSING'],
    ]
    for (const [by, payload, code] of cases) {
      assert.equal((await refused(payload, by)).code, code, `${by} ${JSON.stringify(payload)}`)
    }
    await issue({ limits: inside }, 'lead')
    await issue({ name: 'a', limits: { kinds: ['pull'] } }, 'wide')
    await issue({ name: 'b', limits: TEAM }, 'seer')
  })

  test('a token issues none that lasts longer than itself', async (t) => {
    const { issue, refused } = await started(t)
    const { token, expiresAt } = await issue({ scopes: ['tokens:admin', 'jobs:read'], expiresInSeconds: 3600 })
    for (const wish of [{}, { expiresInSeconds: 7200 }, { expiresAt: '2120-01-01T00:00:00Z' }]) {
      assert.equal((await refused({ name: 'child', ...wish }, token)).code, 'TOKEN_LIMITED')
    }
    const child = await issue({ name: 'child', expiresAt }, token)
    assert.equal(child.expiresAt, expiresAt)
  })

  test('a browser that logged in issues what its token could: a log-in ends, and what its person may does not', async (t) => {
    const { issue, ask } = await started(t)
    const fromBrowser = async (token: string, payload: object) => {
      const { headers } = await ask(token, { method: 'POST', url: '/v1/session' })
      const cookie = String(headers['set-cookie']).split(';', 1)[0] ?? ''
      const own = { cookie, host: 'localhost', origin: 'http://localhost' }
      return await ask(undefined, { method: 'POST', url: '/v1/tokens', headers: own, payload })
    }
    const lasting = await fromBrowser('root', { name: 'robot', scopes: ['jobs:read'] })
    assert.deepEqual([lasting.statusCode, lasting.json<IssuedAnswer>().expiresAt], [201, null])
    const { token } = await issue({ scopes: ['tokens:admin', 'jobs:read'], expiresInSeconds: 3600 })
    const bound = await fromBrowser(token, { name: 'other', scopes: ['jobs:read'], expiresInSeconds: 7200 })
    assert.deepEqual([bound.statusCode, bound.json<Problem>().code], [403, 'TOKEN_LIMITED'])
  })

  test('a name is given again, and a token taken away, by who has all that it has', async (t) => {
    const { issue, refused, revoke, status, jobs } = await started(t)
    const strong = await issue({ name: 'strong', scopes: ['jobs:read', 'deploy'] })
    const limited = await issue({ name: 'team', limits: TEAM })
    for (const name of ['strong', 'team']) {
      assert.equal((await refused({ name }, 'wide')).code, 'TOKEN_NAME_TAKEN', name)
    }
    for (const { id, token } of [strong, limited]) {
      assert.equal((await revoke(id, 'wide')).statusCode, 403)
      assert.equal(await status(token), 200)
    }
    const next = await issue({ name: 'strong' })
    assert.equal((await revoke(strong.id)).statusCode, 204)
    assert.equal((await revoke(next.id, 'wide')).statusCode, 204)
    // What it did is still there.
    assert.equal((await refused({ name: 'strong' }, 'wide')).code, 'TOKEN_NAME_TAKEN')
    await issue({ name: 'strong' })
    jobs.clock.advance(91 * 86_400_000)
    assert.equal((await revoke((await issue({ name: 'other' })).id)).statusCode, 204)
    await issue({ name: 'strong' }, 'wide')
  })

  test('what is there of a name that no token has any more is for who may change what others own', async (t) => {
    const { issue, refused, setLines, jobs, uploads } = await started(t)
    const admins =
      tokenLine('wide', 'tokens:admin,jobs:read') + tokenLine('seer', 'tokens:admin,jobs:read,system:admin')
    await setLines(
      admins + tokenLine('left', 'jobs:write') + tokenLine('sent', 'uploads:write') + tokenLine('none', 'jobs:write'),
    )
    const { job } = await jobs.queue.create(newJob({ principal: 'left' }))
    await uploads.receive('a.tar', Readable.from([Buffer.from('a')]), { principal: 'sent' })
    await setLines(admins)
    for (const name of ['left', 'sent']) assert.equal((await refused({ name }, 'wide')).code, 'TOKEN_NAME_TAKEN', name)
    await issue({ name: 'none' }, 'wide')
    await issue({ name: 'left' }, 'seer')
    await issue({ name: 'left' }, 'wide')
    assert.equal((await jobs.queue.get(job.id))?.principal, 'left')
  })

  test('who is second to take a name is judged beside who was first', async (t) => {
    const { jobs, tokens } = await started(t)
    const connection = openAccessConnection(jobs.options)
    defer(t, () => connection.close())
    const records = createTokenRecords(connection)
    const wish = { name: 'ci', scopes: ['deploy'], limits: {}, description: null, createdBy: 'root', expiresAt: null }
    let isFirst = true
    const slow = createIssuedTokens({
      ...records,
      async read() {
        const seen = await records.read()
        if (isFirst) await tokens.issue(wish, () => {})
        isFirst = false
        return seen
      },
    })
    const judged: string[][] = []
    await slow.issue({ ...wish, scopes: ['jobs:read'] }, (others) => {
      judged.push(others.flatMap(({ scopes }) => [...scopes]))
    })
    assert.deepEqual(judged, [[], ['deploy']])
  })

  test('there is an end to them, and what has expired makes room', async (t) => {
    const { issue, refused, jobs, tokens } = await started(t)
    await issue({ name: 'old', expiresInSeconds: 60 })
    const kept = JSON.parse(
      (await jobs.raw.hvals('{layerd}:tokens')).find((text) => text.startsWith('{')) ?? '',
    ) as object
    const many = Array.from({ length: MAX_TOKENS - 1 }, (_, at) => at.toString(16).padStart(16, '0'))
    const texts = many.flatMap((id) => [id, JSON.stringify({ ...kept, id, expiresAt: null })])
    await jobs.raw.hset('{layerd}:tokens', ...texts)
    assert.match((await refused({})).text, /more than 1000 tokens are not kept/)
    jobs.clock.advance(61_000)
    await issue({})
    const names = (await tokens.list()).map(({ expiresAt }) => expiresAt)
    assert.deepEqual([names.length, new Set(names)], [MAX_TOKENS, new Set([null])])
    assert.match((await refused({})).text, /more than 1000 tokens are not kept/)
  })
})

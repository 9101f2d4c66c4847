import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { InjectOptions } from 'fastify'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { fillRegistry } from '../helpers/packages/pulling.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { tokensFileOf } from '../helpers/streams/tokens.ts'
import { createSigningKey } from '../helpers/trust/authority.ts'
import { waitFor } from '../helpers/wait-for.ts'

const KEY = createSigningKey().pem
const RULE = { match: ['ghcr.io/team/**'], verify: { key: KEY } }

async function started(t: TestContext, tokens?: Record<string, string>) {
  const tokensFile = tokens && (await tokensFileOf(t, tokens))
  const bed = await startApp(t, tokensFile === undefined ? {} : { tokensFile })
  /** On a busy machine Redis may take more than the 1.5 s that are waited for it. */
  const inject = (request: InjectOptions) =>
    waitFor('Redis to answer', async () => {
      const answer = await bed.app.inject(request)
      return answer.statusCode === 503 ? undefined : answer
    })
  const put = (name: string, payload: object, headers: Record<string, string> = {}) =>
    inject({ method: 'PUT', url: `/v1/policies/${name}`, payload, headers })
  return { ...bed, inject, put }
}

describe('policies that are kept', () => {
  test('are told as they were given, by name, and written by those who have seen what is there', async (t) => {
    const { inject, put } = await started(t)
    const first = await put('team', RULE, { 'if-none-match': '*' })
    assert.equal(first.statusCode, 201)
    const { updatedAt, ...told } = first.json<{ updatedAt: string }>()
    assert.deepEqual(told, { name: 'team', ...RULE })
    assert.ok(Date.parse(updatedAt) > 0)
    assert.equal((await put('a-mirror', { ...RULE, kinds: ['copy'] })).statusCode, 201)
    const list = (await inject({ url: '/v1/policies' })).json<{ items: { name: string }[] }>()
    assert.deepEqual(
      list.items.map(({ name }) => name),
      ['a-mirror', 'team'],
    )
    const etag = String(first.headers['etag'])
    const codes = async (answer: ReturnType<typeof put>) => [
      (await answer).statusCode,
      (await answer).json<Problem>().code,
    ]
    assert.deepEqual(await codes(put('team', RULE)), [428, 'PRECONDITION_REQUIRED'])
    assert.deepEqual(await codes(put('team', RULE, { 'if-match': '"x"' })), [412, 'PRECONDITION_FAILED'])
    assert.equal((await inject({ url: '/v1/policies/team', headers: { 'if-none-match': etag } })).statusCode, 304)
    const second = await put('team', { ...RULE, verify: { mode: 'never' } }, { 'if-match': etag })
    assert.equal(second.statusCode, 200)
    const remove = (match: string) =>
      inject({ method: 'DELETE', url: '/v1/policies/team', headers: { 'if-match': match } })
    assert.equal((await remove(etag)).statusCode, 412)
    assert.equal((await remove(String(second.headers['etag']))).statusCode, 204)
    assert.deepEqual(
      [(await inject({ url: '/v1/policies/team' })).statusCode, (await remove('*')).statusCode],
      [404, 404],
    )
  })

  const WRONG: ReadonlyArray<[what: string, body: object, status: number, code: string, pointer: string]> = [
    ['no match', { verify: { key: KEY } }, 400, 'BODY_INVALID', '/match'],
    ['no repository', { ...RULE, match: ['ghcr.io/**', 'ghcr.io'] }, 400, 'BODY_INVALID', '/match/1'],
    ['a pattern in a component', { ...RULE, match: ['ghcr.io/te*m/x'] }, 400, 'BODY_INVALID', '/match/0'],
    ['nothing to verify with', { ...RULE, verify: {} }, 400, 'BODY_INVALID', '/verify'],
    ['no key', { ...RULE, verify: { key: 'x' } }, 400, 'KEY_INVALID', '/verify'],
    ['a key that is not kept', { ...RULE, verify: { keyRef: 'gone' } }, 422, 'KEY_NOT_FOUND', '/verify/keyRef'],
    ['a kind that there is not', { ...RULE, kinds: ['delete'] }, 400, 'BODY_INVALID', '/kinds/0'],
    ['more than a rule has', { ...RULE, name: 'x' }, 400, 'BODY_INVALID', '/name'],
  ]
  test('what workers could not go by is refused, and says where', async (t) => {
    const { inject, put } = await started(t)
    for (const [what, body, status, code, pointer] of WRONG) {
      const answer = await put('wrong', body)
      const problem = answer.json<Problem>()
      assert.deepEqual([problem.status, problem.code, problem.errors?.[0]?.pointer], [status, code, pointer], what)
    }
    assert.deepEqual((await inject({ url: '/v1/policies' })).json(), { items: [] })
    assert.equal((await put('Wrong', RULE)).statusCode, 400)
  })

  test('only who administers policies, and is not limited, writes them; system:read reads', async (t) => {
    const scopes = { admin: 'policies:admin', limited: 'policies:admin registries=ghcr.io', reader: 'system:read' }
    const { inject } = await started(t, { ...scopes, other: 'jobs:write,registries:admin' })
    const asked = async (who: string, method: 'GET' | 'PUT' | 'DELETE', url: string) => {
      const headers = { authorization: `Bearer ${who}`, ...(method === 'DELETE' ? { 'if-match': '*' } : {}) }
      const answer = await inject({ method, url, headers, ...(method === 'PUT' ? { payload: RULE } : {}) })
      return answer.statusCode < 300 ? answer.statusCode : answer.json<Problem>().code
    }
    const [one, all] = ['/v1/policies/team', '/v1/policies']
    const codes = async (who: string) => [
      await asked(who, 'PUT', one),
      await asked(who, 'GET', all),
      await asked(who, 'GET', one),
      await asked(who, 'DELETE', one),
    ]
    const missing = 'SCOPE_MISSING'
    assert.deepEqual(await codes('other'), [missing, missing, missing, missing])
    assert.deepEqual(await codes('limited'), ['TOKEN_LIMITED', 200, 'NOT_FOUND', 'TOKEN_LIMITED'])
    assert.equal(await asked('admin', 'PUT', one), 201)
    assert.deepEqual(await codes('reader'), [missing, 200, 200, missing])
    assert.equal(await asked('admin', 'DELETE', one), 204)
  })
})

describe('jobs', () => {
  /** `file`: rules for what lies at the registry. */
  async function startBed(t: TestContext, file: readonly object[] = []) {
    const source = await startMemoryRegistry()
    t.after(() => source.close())
    await fillRegistry(source, { repository: 'team/nemo', tag: '1.2.0' }, [
      { path: FIXTURES.nemoAmd64, published: 'nemo' },
    ])
    const match = [`${source.host}/team/**`]
    const policyFile = join(await tempDir(t), 'policy.json')
    await writeFile(policyFile, JSON.stringify(file.map((rule) => ({ match, ...rule }))))
    const system = await startJobSystem(t, { roots: [dirname(FIXTURES.nemoAmd64)] })
    await system.worker('one', { policyFile })
    const pull = async () => {
      const job = await system.pull(`oci://${source.host}/team/nemo:1.2.0`, { options: { architecture: 'amd64' } })
      return await system.ended(job.id)
    }
    return { system, pull, match }
  }

  test('are held against them from the next one on, in the order of their names', async (t) => {
    const { system, match, pull } = await startBed(t)
    assert.equal((await pull()).state, 'succeeded')
    const strict = await system.policies.put('m-team', { match, verify: { key: KEY } }, undefined)
    const { error } = await pull()
    assert.equal(error?.code, 'POLICY_VIOLATED')
    assert.equal(error?.details?.['policy'], '/v1/policies/m-team')
    assert.match(error?.hint ?? '', /\/v1\/policies\/m-team/)
    const lenient = { match, verify: { mode: 'never' as const } }
    const last = await system.policies.put('z-exception', lenient, undefined)
    assert.equal((await pull()).error?.code, 'POLICY_VIOLATED')
    await system.policies.remove('z-exception', last)
    await system.policies.put('a-exception', lenient, undefined)
    assert.equal((await pull()).state, 'succeeded')
    assert.deepEqual(
      (await system.policies.list()).map(({ name }) => name),
      ['a-exception', strict.name],
    )
  })

  test('are held against the file’s rules first', async (t) => {
    const { system, match, pull } = await startBed(t, [{ verify: { mode: 'never' } }])
    await system.policies.put('team', { match, verify: { key: KEY } }, undefined)
    assert.equal((await pull()).state, 'succeeded')
  })

  test('fail where a rule names a key that is not kept any more', async (t) => {
    const { system, match, pull } = await startBed(t)
    await system.policies.put('team', { match, verify: { keyRef: 'gone' } }, undefined)
    assert.equal((await pull()).error?.code, 'KEY_NOT_FOUND')
  })
})

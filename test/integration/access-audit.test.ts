import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { InjectOptions } from 'fastify'
import type { AuditRecord } from '../../src/access/audit.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tokensFileOf } from '../helpers/streams/tokens.ts'
import { waitFor } from '../helpers/wait-for.ts'

const TOKENS = {
  ann: '*',
  bob: 'jobs:read',
  auditor: 'audit:read',
  limited: 'audit:read registries=ghcr.io',
}
type Entry = AuditRecord & { id: string }
interface Page {
  items: Entry[]
  nextPageToken?: string
}

async function started(t: TestContext) {
  const bed = await startApp(t, { tokensFile: await tokensFileOf(t, TOKENS), kinds: new Set(['publish', 'pull']) })
  /** On a busy machine Redis may take more than the 1.5 s that are waited for it; such an answer is in the audit too. */
  const ask = (who: keyof typeof TOKENS | 'nobody', { headers, ...request }: InjectOptions) =>
    waitFor('Redis to answer', async () => {
      const authorization = who === 'nobody' ? 'Bearer wrong' : `Bearer ${who}`
      const answer = await bed.app.inject({ ...request, headers: { authorization, ...headers } })
      return answer.statusCode === 503 ? undefined : answer
    })
  const audit = async (query = '') => (await ask('auditor', { url: `/v1/audit${query}` })).json<Page>()
  /** Waits for so many, newest first. */
  const told = (count: number, query = '') =>
    waitFor(`${count} entries of the audit`, async () => {
      const { items } = await audit(query)
      const answered = items.filter(({ status }) => status !== 503)
      return answered.length >= count ? answered : undefined
    })
  return { ...bed, written: bed.audit, ask, audit, told }
}

const PULL = { kind: 'pull', source: 'oci://registry.example/team/nemo:1.2.0' }

describe('the audit', () => {
  test('tells what was done, by whom, from where, and what it was about; looks are not told', async (t) => {
    const { ask, told } = await started(t)
    const { id } = (await ask('ann', { method: 'POST', url: '/v1/jobs', payload: PULL })).json<{ id: string }>()
    await ask('ann', { url: `/v1/jobs/${id}` })
    await ask('ann', { method: 'POST', url: `/v1/jobs/${id}/cancel`, payload: {}, headers: { 'x-request-id': 'r-2' } })
    await ask('ann', { method: 'POST', url: '/v1/jobs', payload: { ...PULL, source: 'nothing' } })
    await ask('ann', { method: 'PUT', url: '/v1/uploads/a%1bb.tar', payload: 'x' })
    const entries = await told(4)
    assert.equal(entries.length, 4)
    const [upload, wrong, cancel, create] = entries
    const common = { principal: 'ann', credential: { kind: 'file', id: null }, address: '127.0.0.1' }
    assert.partialDeepStrictEqual(create, {
      ...common,
      action: 'createJob',
      method: 'POST',
      route: '/v1/jobs',
      target: { ...PULL, job: id },
      outcome: 'succeeded',
      status: 202,
      code: null,
    })
    assert.partialDeepStrictEqual(cancel, { ...common, action: 'cancelJob', target: { id }, requestId: 'r-2' })
    assert.partialDeepStrictEqual(wrong, {
      ...common,
      target: { source: 'nothing' },
      outcome: 'failed',
      code: 'REFERENCE_INVALID',
    })
    assert.deepEqual([upload?.action, upload?.target], ['putUpload', { name: 'a b.tar' }])
    assert.ok(entries.every(({ time }) => Math.abs(Date.parse(time) - Date.now()) < 600_000))
  })

  test('tells what was refused, whatever it was', async (t) => {
    const { ask, told } = await started(t)
    await ask('bob', { method: 'POST', url: '/v1/jobs', payload: PULL })
    await ask('bob', { url: '/v1/keys' })
    await ask('nobody', { url: '/v1/jobs' })
    await ask('limited', { url: '/v1/audit' })
    const [limited, nobody, keys, job] = await told(4)
    assert.partialDeepStrictEqual(job, { principal: 'bob', outcome: 'refused', status: 403, code: 'SCOPE_MISSING' })
    assert.partialDeepStrictEqual(keys, { principal: 'bob', action: 'listKeys', outcome: 'refused' })
    assert.partialDeepStrictEqual(nobody, { principal: null, credential: null, status: 401, code: 'UNAUTHENTICATED' })
    assert.partialDeepStrictEqual(limited, { principal: 'limited', action: 'listAudit', code: 'TOKEN_LIMITED' })
    assert.equal((await ask('bob', { url: '/v1/audit' })).json<Problem>().code, 'SCOPE_MISSING')
  })

  test('a flood of what was refused, or failed, pushes nothing out of what was done, and both are bounded', async (t) => {
    const { ask, told, audit, jobs, written } = await started(t)
    await ask('ann', { method: 'POST', url: '/v1/jobs', payload: PULL })
    await ask('nobody', { url: '/v1/jobs' })
    const both = await told(2)
    const [refused, done] = ['refused', 'succeeded'].map((outcome) => both.find((one) => one.outcome === outcome))
    assert.ok(done && refused)
    const failed = { ...done, outcome: 'failed', status: 404, code: 'NOT_FOUND' } as const
    for (let batch = 0; batch < 4; batch += 1) {
      for (let at = 0; at < 900; at += 1) written.trail.record(at % 2 === 0 ? refused : failed)
      await waitFor('the flood to be written', () => written.outlets.get('redis')?.waiting === 0)
    }
    const kept = await jobs.raw.xlen('{layerd}:audit:refused')
    assert.ok(kept >= 1000 && kept < 1200, `${kept}`)
    const [still] = (await audit('?action=createJob&outcome=succeeded')).items
    assert.equal(still?.id, done.id)
    assert.equal(written.outlets.get('redis')?.lost, 0)
  })

  test('is told in pages and by filters, each entry once', async (t) => {
    const { ask, audit, told } = await started(t)
    for (let at = 0; at < 7; at += 1) {
      await ask('ann', { method: 'DELETE', url: `/v1/uploads/none-${at}` })
      await ask('bob', { url: '/v1/keys' })
    }
    const all = await told(14)
    const seen: string[] = []
    let token: string | undefined
    do {
      const { items, nextPageToken } = await audit(`?pageSize=4${token === undefined ? '' : `&pageToken=${token}`}`)
      assert.ok(items.length <= 4)
      seen.push(...items.map(({ id }) => id))
      token = nextPageToken
    } while (token !== undefined)
    assert.deepEqual(
      seen.slice(-14),
      all.slice(-14).map(({ id }) => id),
    )
    assert.equal(new Set(seen).size, seen.length)
    const of = async (query: string) => (await audit(query)).items.filter(({ status }) => status !== 503)
    assert.deepEqual(new Set((await of('?principal=bob')).map(({ action }) => action)), new Set(['listKeys']))
    assert.equal((await of('?action=deleteUpload')).length, 7)
    assert.equal((await of('?outcome=refused')).length, 7)
    const [, , third] = (await of('?outcome=failed')).toReversed()
    assert.ok(third)
    assert.equal((await of(`?outcome=failed&since=${third.time}`)).at(-1)?.time, third.time)
    assert.equal(
      (await of(`?outcome=failed&until=${third.time}`)).some(({ time }) => time > third.time),
      false,
    )
    const wrong = await ask('auditor', { url: '/v1/audit?pageToken=bm9uZQ' })
    assert.equal(wrong.json<Problem>().code, 'REQUEST_INVALID')
  })

  test('waits while Redis is away, and holds nobody up', async (t) => {
    const { app, ask, audit, told, jobs } = await started(t)
    await ask('ann', { method: 'DELETE', url: '/v1/uploads/before' })
    await told(1)
    await jobs.redis.stop()
    const authorization = 'Bearer ann'
    const answer = await app.inject({ method: 'DELETE', url: '/v1/uploads/meanwhile', headers: { authorization } })
    assert.equal(answer.statusCode, 404)
    await jobs.redis.start()
    await waitFor('what happened meanwhile to be told', async () => {
      const { items } = await audit('?action=deleteUpload')
      return items.some(({ target }) => target['upload'] === 'meanwhile')
    })
  })
})

const SECRETS = ['tok-ann-secret', 'pass-of-body', 'pass-of-header', 'pass-of-query', 'pass-of-user', 'sig-of-url']

test('whatever is sent anywhere, no secret is in what is kept', async (t) => {
  const tokensFile = await tokensFileOf(t, { 'tok-ann-secret': '*' })
  const { app, jobs } = await startApp(t, { tokensFile, kinds: new Set(['publish', 'pull', 'copy', 'verify']) })
  const source = 'https://u:pass-of-user@files.example/a.tar?X-Amz-Signature=sig-of-url'
  const oci = 'oci://u:pass-of-user@registry.example/team/nemo:1'
  const bodies = [
    { kind: 'publish', source, destination: oci, password: 'pass-of-body', key: 'pass-of-body' },
    { kind: 'copy', source: oci, destination: 'u:pass-of-user@host/x@sha256:00', token: 'pass-of-body' },
    { kind: 'pull', source: 'oci://u:a/pass-of-user@registry.example/x', credentials: { password: 'pass-of-body' } },
  ]
  const auth = Buffer.from(JSON.stringify({ username: 'u', password: 'pass-of-header' })).toString('base64')
  const names = { id: 'x', digest: `sha256:${'0'.repeat(64)}`, host: '127.0.0.1:1', name: 'n', upload: 'u.tar' }
  const { paths = {} } = app.swagger() as { paths?: Record<string, Record<string, unknown>> }
  const asked = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ path, method: method.toUpperCase() as 'GET' })),
  )
  assert.ok(asked.length > 40)
  let sent = 0
  for (const { path, method } of asked.filter(({ path: each }) => !each.endsWith('/events'))) {
    const url = path.replaceAll(/\{(\w+)\}/g, (_all, name: keyof typeof names) => names[name] ?? 'x')
    for (const token of ['tok-ann-secret', 'tok-ann-secret2']) {
      for (const payload of method === 'GET' ? [undefined] : bodies) {
        const headers = { authorization: `Bearer ${token}`, 'x-registry-auth': auth, cookie: 'a=pass-of-header' }
        await app.inject({ method, url: `${url}?password=pass-of-query`, headers, ...(payload ? { payload } : {}) })
        sent += 1
      }
    }
  }
  const read = async () =>
    JSON.stringify([
      await jobs.raw.xrange('{layerd}:audit', '-', '+'),
      await jobs.raw.xrange('{layerd}:audit:refused', '-', '+'),
    ])
  const kept = await waitFor('both streams to be there', async () => {
    const text = await read()
    return text.includes('createJob') && text.includes('UNAUTHENTICATED') ? text : undefined
  })
  assert.ok(sent > 100)
  // Its name stands there: this test's tokens are called as they are.
  const masked = kept.replaceAll(String.raw`\"principal\":\"tok-ann-secret\"`, '')
  for (const secret of SECRETS) assert.ok(!masked.includes(secret), `${secret} in ${masked.slice(0, 3000)}`)
})

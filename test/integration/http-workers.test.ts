import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { InjectOptions } from 'fastify'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { silence } from '../helpers/redis/jobs.ts'
import { factsOf, wordOf } from '../helpers/redis/worker-facts.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tokensFileOf } from '../helpers/streams/tokens.ts'
import { waitFor } from '../helpers/wait-for.ts'

async function started(t: TestContext, tokens?: Record<string, string>) {
  const tokensFile = tokens && (await tokensFileOf(t, tokens))
  const bed = await startApp(t, tokensFile === undefined ? {} : { tokensFile })
  /** On a busy machine Redis may take more than the 1.5 s that are waited for it. */
  const inject = (request: InjectOptions) =>
    waitFor('Redis to answer', async () => {
      const answer = await bed.app.inject(request)
      return answer.statusCode === 503 ? undefined : answer
    })
  return { ...bed, inject }
}

interface Told {
  items: Array<{ id: string; state: string }>
  nextPageToken?: string
}

describe('GET /v1/workers', () => {
  test('tells of each worker what it told of itself, by machine, in pages', async (t) => {
    const { jobs, inject } = await started(t)
    assert.deepEqual((await inject({ url: '/v1/workers' })).json(), { items: [] })
    const running = [{ id: 'job-1', kind: 'publish' as const, since: Date.parse('2026-03-01T12:30:00Z') }]
    await jobs.runs.heartbeat('z-1', wordOf({ host: 'a', jobs: running }))
    await jobs.runs.heartbeat('b-2', wordOf({ host: 'b' }))
    await jobs.runs.heartbeat('b-1', wordOf({ host: 'b' }))
    await silence(jobs, 'b-1')
    const page = async (query: string) => {
      const answer = await inject({ url: `/v1/workers?${query}` })
      assert.equal(answer.statusCode, 200, answer.body)
      return answer.json<Told>()
    }
    const first = await page('pageSize=2')
    const second = await page(`pageSize=2&pageToken=${first.nextPageToken}`)
    assert.deepEqual(
      [...first.items, ...second.items].map(({ id, state }) => `${id} ${state}`),
      ['z-1 running', 'b-1 lost', 'b-2 running'],
    )
    assert.equal(second.nextPageToken, undefined)
    const { ending: _ending, ...facts } = factsOf({ host: 'a' })
    const { lastSeenAt, ...one } = (await inject({ url: '/v1/workers/z-1' })).json<Record<string, unknown>>()
    assert.ok(Date.parse(String(lastSeenAt)) > 0)
    assert.deepEqual(one, {
      ...facts,
      id: 'z-1',
      state: 'running',
      drain: null,
      since: '2026-03-01T12:00:00.000Z',
      jobs: [{ id: 'job-1', kind: 'publish', since: '2026-03-01T12:30:00.000Z' }],
    })
    assert.equal((await inject({ url: '/v1/workers?pageToken=%00' })).statusCode, 400)
  })

  test('shows them to whoever reads the system and is not limited; to others they are not there', async (t) => {
    const { jobs, inject } = await started(t, {
      reader: 'system:read',
      admin: 'system:admin',
      limited: 'system:admin registries=ghcr.io',
      kinds: '* kinds=pull',
      other: 'jobs:write,registries:admin',
    })
    await jobs.runs.heartbeat('w-1', wordOf())
    const ask = async (who: string, url: string) => {
      const answer = await inject({ url, headers: { authorization: `Bearer ${who}` } })
      if (answer.statusCode === 200) return answer.json<Told>().items?.length ?? 'told'
      const { code, detail } = answer.json<Problem>()
      return code === 'NOT_FOUND' ? detail : code
    }
    for (const who of ['reader', 'admin']) {
      assert.deepEqual([await ask(who, '/v1/workers'), await ask(who, '/v1/workers/w-1')], [1, 'told'], who)
    }
    for (const who of ['limited', 'kinds']) {
      assert.deepEqual(
        [await ask(who, '/v1/workers'), await ask(who, '/v1/workers/w-1'), await ask(who, '/v1/workers/none')],
        [0, 'there is no worker w-1', 'there is no worker none'],
        who,
      )
    }
    assert.equal(await ask('admin', '/v1/workers/none'), 'there is no worker none')
    assert.deepEqual(
      [await ask('other', '/v1/workers'), await ask('other', '/v1/workers/w-1')],
      ['SCOPE_MISSING', 'SCOPE_MISSING'],
    )
  })
})

describe('POST /v1/workers/{id}/drain and /resume', () => {
  const post = (url: string, who: string, payload?: object) =>
    ({
      method: 'POST',
      url,
      headers: { authorization: `Bearer ${who}` },
      ...(payload === undefined ? {} : { payload }),
    }) as const

  test('tell a worker, once or often, and the audit who did', async (t) => {
    const { jobs, inject, audit } = await started(t, { ops: 'system:admin' })
    await jobs.runs.heartbeat('w-1', wordOf({ jobs: [{ id: 'job-1', kind: 'pull', since: 1 }] }))
    const ask = async (what: string, payload?: object) => {
      const answer = await inject(post(`/v1/workers/w-1/${what}`, 'ops', payload))
      assert.equal(answer.statusCode, 200, answer.body)
      const { state, drain } = answer.json<{ state: string; drain: { since: string; handOver: boolean } | null }>()
      return { state, drain }
    }
    const first = await ask('drain')
    assert.deepEqual([first.state, first.drain?.handOver], ['draining', false])
    assert.deepEqual(await ask('drain', {}), first)
    const over = { state: 'draining', drain: { since: first.drain?.since, handOver: true } }
    assert.deepEqual(await ask('drain', { handOver: true }), over)
    assert.deepEqual(await ask('drain'), over, 'what was handed over stays so')

    const { drain } = await jobs.runs.heartbeat('w-1', wordOf())
    assert.notEqual(drain, '', 'it hears of it')
    const rests = async () => (await jobs.queue.workers.get('w-1'))?.state
    await jobs.runs.heartbeat('w-1', wordOf({}, { obeyed: 'another', rests: true }))
    assert.equal(await rests(), 'draining', 'it rested in an earlier one')
    await jobs.runs.heartbeat('w-1', wordOf({}, { obeyed: drain, rests: true }))
    assert.equal(await rests(), 'drained')
    assert.deepEqual(await ask('resume'), { state: 'running', drain: null })
    assert.deepEqual(await ask('resume', {}), { state: 'running', drain: null })

    const told = await waitFor('the audit', async () => {
      const { items } = await audit.trail.list({}, { size: 10 })
      return items.length === 6 ? items.toReversed() : undefined
    })
    assert.deepEqual(
      told.map(({ action, target, principal }) => [action, target, principal]),
      [
        ['drainWorker', { id: 'w-1', handOver: 'false' }, 'ops'],
        ['drainWorker', { id: 'w-1', handOver: 'false' }, 'ops'],
        ['drainWorker', { id: 'w-1', handOver: 'true' }, 'ops'],
        ['drainWorker', { id: 'w-1', handOver: 'false' }, 'ops'],
        ['resumeWorker', { id: 'w-1' }, 'ops'],
        ['resumeWorker', { id: 'w-1' }, 'ops'],
      ],
    )
  })

  test('are for whoever administers the system without limits, and say what is wrong', async (t) => {
    const { jobs, inject } = await started(t, {
      ops: 'system:admin',
      reader: 'system:read',
      limited: 'system:admin registries=ghcr.io',
    })
    await jobs.runs.heartbeat('w-1', wordOf())
    for (const what of ['drain', 'resume']) {
      const ask = async (who: string, id: string, payload?: object) => {
        const { code, detail } = (await inject(post(`/v1/workers/${id}/${what}`, who, payload))).json<Problem>()
        return code === 'NOT_FOUND' ? detail : code
      }
      assert.equal(await ask('reader', 'w-1'), 'SCOPE_MISSING')
      assert.equal(await ask('limited', 'w-1'), 'there is no worker w-1')
      assert.equal(await ask('limited', 'none'), 'there is no worker none')
      assert.equal(await ask('ops', 'none'), 'there is no worker none')
      assert.equal(await ask('ops', 'w-1', { handOver: 'yes' }), 'BODY_INVALID')
      assert.equal(await ask('ops', 'w-1', { over: true }), 'BODY_INVALID')
      assert.equal((await jobs.queue.workers.get('w-1'))?.drain, null)
    }
    assert.deepEqual(
      await jobs.raw.keys('*workers:of:*'),
      ['{layerd}:workers:of:w-1'],
      'nothing is kept of what is not there',
    )
  })
})

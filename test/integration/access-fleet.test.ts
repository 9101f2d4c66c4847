import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { initialProgress } from '../../src/jobs/record/record.ts'
import { begin, newJob, RESULT } from '../helpers/redis/jobs.ts'
import { changesOf, type FleetEvent, type FleetWatch, listBy, watchFleet } from '../helpers/streams/fleet.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { bearer, tokensFor, writeTokens } from '../helpers/streams/principals.ts'
import { waitFor } from '../helpers/wait-for.ts'

const PEOPLE = {
  ann: 'jobs:read',
  bob: 'jobs:read',
  covers: 'jobs:read repositories=registry.example:5000/team/**',
  /** Of no job whose repository is not known yet. */
  narrow: 'jobs:read repositories=registry.example:5000/team/nemo',
  auditor: 'jobs:read,system:read',
  stranger: 'jobs:read',
  blind: 'packages:read',
} as const
type Person = keyof typeof PEOPLE
const WATCHERS = ['ann', 'bob', 'covers', 'narrow', 'auditor', 'stranger'] as const

async function start(t: TestContext) {
  const tokensFile = await tokensFor(t, PEOPLE)
  const server = await startApp(t, { tokensFile, streams: { tickMs: 30 } })
  const url = `${await server.listen()}/v1/events`
  const watch = (who: Person, query = '', headers: Record<string, string> = {}) =>
    watchFleet(`${url}${query}`, { ...bearer(who), ...headers })
  return { ...server, url, tokensFile, watch }
}

const ELSEWHERE = {
  destination: 'oci://registry.example:5000/other',
  labels: { secret: 'of-bob' },
  principal: 'bob',
} as const

/** Ann's in the team's repositories, bob's in others: each begun, moved, ended and removed. */
async function lives({ jobs }: Awaited<ReturnType<typeof start>>, until: (jobs: Job[]) => Promise<unknown>) {
  const made = []
  for (const changes of [{ principal: 'ann' }, ELSEWHERE]) {
    const { job } = await jobs.queue.create(newJob(changes))
    const { epoch } = await begin(jobs, job)
    const progress = { ...initialProgress(new Date().toISOString()), bytesDone: 7 }
    await jobs.runs.report(job.id, epoch, { progress })
    made.push({ job, epoch })
  }
  await until(made.map(({ job }) => job))
  for (const { job, epoch } of made) {
    const reference = `${job.destination}/nemo:1.2.0`
    await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: { ...RESULT, reference } })
    await jobs.queue.remove(job.id)
  }
  return made.map(({ job }) => job.id) as [string, string]
}

const typesOf = (events: readonly FleetEvent[], id: string) =>
  changesOf(events)
    .filter(({ jobId }) => jobId === id)
    .map(({ type }) => type)
const movedIn = ({ events }: FleetWatch) =>
  events.filter(({ type }) => type === 'progress').flatMap(({ moved = [] }) => moved.map(({ jobId }) => jobId))

const WHOLE = ['created', 'state', 'end', 'removed']

test('each is told of the jobs that it sees, and of no others', async (t) => {
  const server = await start(t)
  const watches = Object.fromEntries(
    await Promise.all(WATCHERS.map(async (who) => [who, await server.watch(who)] as const)),
  ) as Record<(typeof WATCHERS)[number], FleetWatch>
  const seen = { ann: [0], bob: [1], covers: [0], narrow: [], auditor: [0, 1], stranger: [] } as const
  const [first, second] = await lives(server, (jobs) =>
    waitFor(
      'progress',
      () =>
        WATCHERS.every((who) => new Set(movedIn(watches[who])).size === seen[who].length) &&
        WATCHERS.every((who) => seen[who].every((at) => movedIn(watches[who]).includes(jobs[at]?.id ?? ''))),
    ),
  )
  await waitFor('all of it', () =>
    Object.entries({ auditor: 8, ann: 4, bob: 4, covers: 4, narrow: 2 }).every(
      ([who, changes]) => watches[who as Person & keyof typeof watches].told().length === changes,
    ),
  )
  const told = Object.fromEntries(
    WATCHERS.map((who) => [who, [typesOf(watches[who].events, first), typesOf(watches[who].events, second)]]),
  )
  assert.deepEqual(told, {
    ann: [WHOLE, []],
    bob: [[], WHOLE],
    covers: [WHOLE, []],
    // Its repository is known by its end.
    narrow: [['end', 'removed'], []],
    auditor: [WHOLE, WHOLE],
    stranger: [[], []],
  })
  for (const who of ['ann', 'covers', 'narrow', 'stranger'] as const) {
    assert.ok(!JSON.stringify(watches[who].events).includes('of-bob'))
    assert.ok(!JSON.stringify(watches[who].events).includes(second))
  }
})

test('a replay and a page show each what it sees, whatever id it names', async (t) => {
  const server = await start(t)
  const { app, jobs, watch } = server
  const opening = await watch('auditor')
  opening.cut()
  const made = []
  for (const changes of [{ principal: 'ann' }, ELSEWHERE, { ...ELSEWHERE, labels: {} }]) {
    made.push((await jobs.queue.create(newJob(changes))).job.id)
  }
  await jobs.queue.cancel(made[2] ?? '')
  await jobs.queue.remove(made[2] ?? '')
  const [anns = '', bobs = '', removed = ''] = made
  const last = opening.lastId() ?? ''
  const expected = {
    ann: [['created', anns]],
    bob: [
      ['created', bobs],
      ['removed', removed],
    ],
    covers: [['created', anns]],
    narrow: [],
    auditor: [
      ['created', anns],
      ['created', bobs],
      ['removed', removed],
    ],
    stranger: [],
  }
  for (const who of WATCHERS) {
    const headers = { ...bearer(who), accept: 'application/json' }
    const page = (await app.inject({ url: `/v1/events?lastEventId=${last}`, headers })).json()
    assert.deepEqual(
      page.items.map(({ type, jobId }: FleetEvent) => [type, jobId]),
      expected[who],
      who,
    )
    const snapshot = (await app.inject({ url: '/v1/events', headers })).json().items[0]
    const there = expected[who].filter(([type]) => type === 'created').map(([, id]) => id)
    assert.deepEqual(new Set(snapshot.jobs.map(({ id }: Job) => id)), new Set(there), who)
    if (expected[who].length === 0) continue
    const again = await watch(who, `?lastEventId=${last}`)
    await waitFor('the replay', () => again.told().length === expected[who].length)
    assert.deepEqual(
      changesOf(again.events).map(({ type, jobId }) => [type, jobId]),
      expected[who],
      who,
    )
  }
})

test('a token without jobs:read gets no stream, and one that is taken away ends its own', async (t) => {
  const { app, jobs, watch, tokensFile } = await start(t)
  assert.equal((await app.inject({ url: '/v1/events', headers: bearer('blind') })).statusCode, 403)
  assert.equal((await app.inject({ url: '/v1/events' })).statusCode, 401)
  const ann = await watch('ann')
  const bob = await watch('bob')
  const { ann: _, ...others } = PEOPLE
  await writeTokens(tokensFile, others)
  await ann.ended
  const { job } = await jobs.queue.create(newJob({ principal: 'bob' }))
  await waitFor("bob's job", () => listBy(bob.events).has(job.id))
  assert.deepEqual(ann.told(), [])
  await assert.rejects(watch('ann'), /HTTP 401/)
})

test('who has as many streams as one may have is refused the next, and others are not', async (t) => {
  const tokensFile = await tokensFor(t, PEOPLE)
  const server = await startApp(t, { tokensFile, streamLimits: { perPrincipal: 2, all: 10 } })
  const { job } = await server.jobs.queue.create(newJob({ principal: 'ann' }))
  const base = `${await server.listen()}/v1`
  const first = await watchFleet(`${base}/events`, bearer('ann'))
  await watchFleet(`${base}/jobs/${job.id}/events`, bearer('ann'))
  for (const path of ['/events', `/jobs/${job.id}/events`]) {
    const headers = { ...bearer('ann'), accept: 'text/event-stream' }
    const refused = await fetch(`${base}${path}`, { headers })
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '5'])
    assert.equal(((await refused.json()) as { code: string }).code, 'STREAMS_TOO_MANY')
  }
  await watchFleet(`${base}/events`, bearer('bob'))
  first.cut()
  await waitFor('a place', () => watchFleet(`${base}/events`, bearer('ann')).catch(() => undefined))
})

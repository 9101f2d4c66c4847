import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Limits } from '../../src/access/limits.ts'
import { ANONYMOUS, type Principal } from '../../src/access/principal.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { createJobIds } from '../../src/jobs/model/job-id.ts'
import { JOB_SORTS, type JobFilter } from '../../src/jobs/model/requests.ts'
import { newRecord } from '../../src/jobs/record/record.ts'
import { begin, newJob, RESULT, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'

function principal(name: string, limits: Limits = {}, scopes: readonly string[] = ['jobs:read']): Principal {
  return { name, scopes: new Set(scopes), limits, credential: `file:${name}` }
}

const VIEWERS = {
  ann: principal('ann'),
  bob: principal('bob'),
  nobody: principal('nobody'),
  team: principal('team', { repositories: ['r0.example/team/**', 'r1.example/team/**'] }),
  anywhere: principal('anywhere', { repositories: ['*/team/nemo'] }),
  registry: principal('ann', { registries: ['r1.example'] }),
  kinds: principal('bob', { kinds: ['pull'] }),
  auditor: principal('auditor', {}, ['jobs:read', 'system:read']),
}

/** Said once more, by hand: whose job it is, and whether a token was given all of its repositories. */
function isShown(who: Principal, job: Job): boolean {
  const registry = job.labels['registry'] ?? ''
  if (who === VIEWERS.auditor) return true
  if (job.principal === who.name) return true
  const isTeams = job.labels['namespace'] === 'team'
  if (who === VIEWERS.team) return isTeams && registry !== 'r2.example'
  if (who === VIEWERS.anywhere) return isTeams && (job.kind === 'pull' || job.result !== null)
  return who === VIEWERS.registry && registry === 'r1.example'
}

async function manyJobs(jobs: TestJobs): Promise<Job[]> {
  const all: Job[] = []
  for (let at = 0; at < 36; at += 1) {
    const registry = `r${at % 3}.example`
    const namespace = at % 4 < 2 ? 'team' : 'other'
    const place = `oci://${registry}/${namespace}`
    const kind = at % 5 === 0 ? 'pull' : 'publish'
    const where = kind === 'pull' ? { source: `${place}/nemo:1`, destination: null } : { destination: place }
    const asked = {
      principal: ['ann', 'bob', 'anonymous'][at % 3 === 0 ? at % 2 : 2] ?? '',
      requestId: `request-${at}`,
    }
    const labels = { registry, namespace }
    const { job } = await jobs.queue.create(
      newJob({ kind, labels, queueHost: registry, registries: [registry], ...where, ...asked }),
    )
    if (at % 4 === 1) await jobs.queue.cancel(job.id)
    if (at % 8 === 4) {
      const { epoch } = await begin(jobs, job)
      const result = { ...RESULT, reference: `${place}/nemo:1` }
      await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result })
    }
    all.push((await jobs.queue.get(job.id)) as Job)
  }
  return all
}

/** Page by page; each one's items, and the text in the token that leads on. */
async function pagesOf(jobs: TestJobs, filter: JobFilter, who: Principal, size: number) {
  const pages: string[][] = []
  const tokens: string[] = []
  for (let token: string | undefined; ; ) {
    const page = await jobs.queue.list(filter, { size, ...(token === undefined ? {} : { token }) }, who)
    pages.push(page.items.map(({ id }) => id))
    token = page.nextPageToken
    if (token === undefined) return { pages, tokens }
    tokens.push(Buffer.from(token, 'base64url').toString())
  }
}

test('lists have what one sees, in full pages, and neither they nor their tokens tell of anything else', async (t) => {
  const jobs = await startJobs(t)
  const all = await manyJobs(jobs)
  const filters = fc.record(
    {
      states: fc.constantFrom(['queued'] as const, ['canceled', 'succeeded'] as const),
      kinds: fc.constantFrom(['pull'] as const, ['publish'] as const),
      registry: fc.constantFrom('r0.example', 'r1.example', 'nowhere.example'),
      principal: fc.constantFrom('ann', 'bob', 'anonymous', 'unknown'),
      requestId: fc.constantFrom('request-3', 'request-4', 'request-1000'),
      q: fc.constantFrom('nemo', 'other', 'ann'),
      sort: fc.constantFrom(...JOB_SORTS),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<JobFilter>
  const people = fc.constantFrom(...Object.keys(VIEWERS)) as fc.Arbitrary<keyof typeof VIEWERS>
  await fc.assert(
    fc.asyncProperty(people, filters, fc.integer({ min: 1, max: 9 }), async (name, filter, size) => {
      const who = VIEWERS[name]
      // Whoever sees all shows what the filter means; test/integration/jobs-lists.test.ts has that right.
      const everything = (await pagesOf(jobs, filter, VIEWERS.auditor, 200)).pages.flat()
      const shown = everything.filter((id) => all.some((job) => job.id === id && isShown(who, job)))
      const { pages, tokens } = await pagesOf(jobs, filter, who, size)
      assert.deepEqual(pages, inPages(shown, size))
      for (const text of tokens) {
        const named = all.filter(({ id }) => text.includes(id))
        assert.ok(named.length === 1 && named.every((job) => isShown(who, job)), `${name}: ${text}`)
      }
    }),
    { numRuns: 300 },
  )
  const { nextPageToken = '' } = await jobs.queue.list({}, { size: 1 }, VIEWERS.bob)
  const other = { code: 'REQUEST_INVALID', message: /belongs to a list/ }
  await assert.rejects(jobs.queue.list({}, { size: 1, token: nextPageToken }, VIEWERS.ann), other)
})

function inPages(ids: readonly string[], size: number): string[][] {
  const pages = Array.from({ length: Math.ceil(ids.length / size) }, (_, at) => ids.slice(at * size, (at + 1) * size))
  return pages.length === 0 ? [[]] : pages
}

test('thousands of hidden jobs between two that are shown make no page short, and cost who sees its own alone nothing', async (t) => {
  const jobs = await startJobs(t)
  const place = { destination: 'oci://r0.example/team', registries: ['r0.example'], queueHost: 'r0.example' }
  const own = newJob({ principal: 'ann', ...place })
  const first = (await jobs.queue.create(own)).job.id
  await addHidden(jobs, 4500)
  jobs.clock.advance(1000)
  const last = (await jobs.queue.create(own)).job.id
  for (const who of [VIEWERS.ann, VIEWERS.team]) {
    assert.deepEqual((await pagesOf(jobs, {}, who, 2)).pages, [[last, first]], who.name)
    assert.deepEqual((await pagesOf(jobs, { q: 'no such text' }, who, 2)).pages, [[]])
  }
  const reads = async (who: Principal): Promise<number> => {
    await jobs.raw.config('RESETSTAT')
    await jobs.queue.list({}, { size: 10 }, who)
    return Number(/cmdstat_hmget:calls=(\d+)/.exec(await jobs.raw.info('commandstats'))?.[1] ?? 0)
  }
  assert.ok((await reads(VIEWERS.ann)) <= 4, 'two records, and what they wait for')
  assert.ok((await reads(VIEWERS.team)) > 4500, 'the figure counts')
})

/** Records as `create` writes them, of somebody else and in a repository that no viewer was given. */
async function addHidden(jobs: TestJobs, count: number): Promise<void> {
  const newId = createJobIds()
  const now = jobs.clock.now() + 500
  const registries = ['r0.example']
  const job = newJob({ principal: 'carl', destination: 'oci://r0.example/secret', registries, queueHost: 'r0.example' })
  const pipeline = jobs.raw.pipeline()
  for (let at = 0; at < count; at += 1) {
    const id = newId(now)
    pipeline.hset(`{layerd}:job:${id}`, 'state', 'paused', ...newRecord(job, now, ''))
    for (const set of ['jobs', 'jobs:of:carl', 'jobs:host:r0.example', 'jobs:state:paused'])
      pipeline.zadd(`{layerd}:${set}`, 0, id)
  }
  await pipeline.exec()
}

test('jobs of an older version are in the list of whose they are', async (t) => {
  const jobs = await startJobs(t)
  const made: string[] = []
  for (const name of ['ann', 'anonymous', 'ann', 'anonymous']) {
    const { job } = await jobs.queue.create(newJob({ principal: name }))
    if (made.length > 1) await jobs.queue.cancel(job.id)
    made.push(job.id)
  }
  const [ann1 = '', old1 = '', ann2 = '', old2 = ''] = made
  for (const id of [old1, old2]) await jobs.raw.hdel(`{layerd}:job:${id}`, 'principal')
  const sets = ['jobs:of:ann', 'jobs:of:anonymous', 'jobs:done-of:ann', 'jobs:done-of:anonymous']
  await jobs.raw.del(...sets.map((name) => `{layerd}:${name}`))
  const lists = async (who: Principal) => [
    ...(await pagesOf(jobs, {}, who, 9)).pages,
    ...(await pagesOf(jobs, { sort: 'endedAt' }, who, 9)).pages,
  ]
  const someone = { ...ANONYMOUS, scopes: new Set(['jobs:read']) }
  assert.deepEqual(await lists(someone), [[old2, old1], [old2]])
  assert.deepEqual(await lists(principal('ann')), [[ann2, ann1], [ann2]])

  // One that a process of the older version makes now.
  await jobs.raw.zrem('{layerd}:jobs:of:ann', ann1)
  assert.equal(await jobs.runs.recheckOwners(), 0, 'not so soon again')
  jobs.clock.advance(600_000)
  assert.equal(await jobs.runs.recheckOwners(), 1)
  assert.deepEqual(await lists(principal('ann')), [[ann2, ann1], [ann2]])
})

test('what a list is made from goes with the job', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob({ principal: 'ann' }))
  const sets = async () => (await jobs.raw.keys('{layerd}:jobs:*of:*')).toSorted()
  assert.deepEqual(await sets(), ['{layerd}:jobs:of:ann'])
  await jobs.queue.cancel(job.id)
  assert.deepEqual(await sets(), ['{layerd}:jobs:done-of:ann', '{layerd}:jobs:of:ann'])
  await jobs.queue.retry(job.id)
  assert.deepEqual(await sets(), ['{layerd}:jobs:of:ann'])
  await jobs.queue.cancel(job.id)
  jobs.clock.advance(31 * 86_400_000)
  assert.equal(await jobs.runs.removeExpired(), 1)
  assert.deepEqual(await sets(), [])
})

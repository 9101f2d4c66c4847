import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ANONYMOUS } from '../../src/access/principal.ts'
import type { Job, JobState } from '../../src/jobs/model/definitions.ts'
import { JOB_SORTS, type JobFilter, type JobSort } from '../../src/jobs/model/requests.ts'
import { begin, newJob, startJobs } from '../helpers/redis/jobs.ts'

test('beyond the newest 10,000 the oldest ended jobs go, and no open one, however many are open', async (t) => {
  const jobs = await startJobs(t)
  const made: string[] = []
  for (let at = 0; at < 4; at += 1) made.push((await jobs.queue.create(newJob())).job.id)
  const [oldest = '', ended = '', newerEnded = '', open = ''] = made
  await jobs.queue.cancel(ended)
  jobs.clock.advance(1000)
  await jobs.queue.cancel(newerEnded)
  const later = jobs.clock.now() + 1000
  const others = (what: string, score: number) =>
    Array.from({ length: 9999 }, (_, at) => [score, `${what}-${at}`]).flat()
  await jobs.raw.zadd('{layerd}:jobs', ...others('open', 0), ...others('ended', 0))
  await jobs.raw.zadd('{layerd}:jobs:done', ...others('ended', later))
  assert.equal(await jobs.runs.removeExpired(), 1)
  const kept = await Promise.all([oldest, ended, newerEnded, open].map(async (id) => (await jobs.queue.get(id))?.id))
  assert.deepEqual(kept, [oldest, undefined, newerEnded, open])
})

test('pages part the list: every job that matches once, newest first, whatever the filter and the size', async (t) => {
  const jobs = await startJobs(t)
  const all: Job[] = []
  for (let at = 0; at < 40; at += 1) {
    const registry = `r${at % 3}.example`
    const labels: Record<string, string> = at % 2 === 0 ? { even: 'yes', n: String(at) } : { n: String(at) }
    const kind = at % 5 === 0 ? 'pull' : 'publish'
    const { job } = await jobs.queue.create(
      newJob({ kind, labels, queueHost: registry, registries: [registry], ...asked(at) }),
    )
    if (at % 4 === 1) await jobs.queue.cancel(job.id)
    if (at % 4 === 2) await begin(jobs, job)
    all.unshift((await jobs.queue.get(job.id)) as Job)
  }
  const filters = fc.record(
    {
      states: fc.uniqueArray(fc.constantFrom<JobState>('queued', 'canceled', 'running', 'failed'), { minLength: 1 }),
      kinds: fc.constantFrom(['pull'] as const, ['publish', 'pull'] as const),
      labels: fc.constant([{ key: 'even', value: 'yes' }]),
      registry: fc.constantFrom('r0.example', 'r1.example', 'R2.example', 'nowhere.example'),
      createdAfter: fc.constantFrom(...all.map((job) => job.createdAt)),
      endedAfter: fc.constantFrom(...all.flatMap((job) => job.endedAt ?? [])),
      principal: fc.constantFrom('ann', 'bob', 'nobody'),
      requestId: fc.constantFrom('request-7', 'request-1000'),
      errorCodes: fc.constant(['ODD']),
      q: fc.constantFrom('NEMO-amd64', 'even=YES', 'nothing of the kind', 'ann'),
      sort: fc.constantFrom(...JOB_SORTS),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<JobFilter>
  await fc.assert(
    fc.asyncProperty(filters, fc.integer({ min: 1, max: 15 }), async (filter, size) => {
      const paged: Job[] = []
      let token: string | undefined
      do {
        const page = await jobs.queue.list(filter, { size, ...(token === undefined ? {} : { token }) }, ANONYMOUS)
        assert.ok(page.items.length <= size)
        assert.ok(page.items.length > 0 || page.nextPageToken === undefined, 'no empty page but the only one')
        paged.push(...page.items)
        token = page.nextPageToken
      } while (token !== undefined)
      const expected = sorted(all, filter.sort).filter((job) => matches(job, filter))
      assert.deepEqual(paged, expected)
    }),
    { numRuns: 200 },
  )
  await assert.rejects(jobs.queue.list({}, { size: 5, token: 'bm90IGEgdG9rZW4' }, ANONYMOUS), {
    code: 'REQUEST_INVALID',
  })
  const token = (await jobs.queue.list({}, { size: 5 }, ANONYMOUS)).nextPageToken ?? ''
  const others = [{ states: ['queued'] }, { sort: 'createdAt' }, { q: 'nemo' }] as const
  for (const filter of others) {
    const other = { code: 'REQUEST_INVALID', message: /other filters or another order/ }
    await assert.rejects(jobs.queue.list(filter, { size: 5, token }, ANONYMOUS), other)
  }
})

test('a list goes on where it stood when jobs come and go in between', async (t) => {
  const jobs = await startJobs(t)
  const made: string[] = []
  for (let at = 0; at < 6; at += 1) made.unshift((await jobs.queue.create(newJob())).job.id)
  const first = await jobs.queue.list({}, { size: 3 }, ANONYMOUS)
  const last = first.items.at(-1)?.id ?? ''
  await jobs.queue.cancel(last)
  await jobs.queue.remove(last)
  await jobs.queue.create(newJob())
  const second = await jobs.queue.list({}, { size: 3, token: first.nextPageToken ?? '' }, ANONYMOUS)
  assert.deepEqual(
    [...first.items, ...second.items].map(({ id }) => id),
    made,
  )
})

function matches(job: Job, filter: JobFilter): boolean {
  return (
    (filter.states?.includes(job.state) ?? true) &&
    (filter.kinds?.includes(job.kind) ?? true) &&
    (filter.labels ?? []).every(({ key, value }) => job.labels[key] === value) &&
    (filter.registry === undefined || registryOf(job) === filter.registry.toLowerCase()) &&
    (filter.createdAfter === undefined || job.createdAt > filter.createdAfter) &&
    (filter.endedAfter === undefined || (job.endedAt !== null && job.endedAt > filter.endedAfter)) &&
    (filter.principal ?? job.principal) === job.principal &&
    (filter.requestId ?? job.requestId) === job.requestId &&
    (filter.errorCodes?.includes(job.error?.code ?? '') ?? true) &&
    (filter.q === undefined || contains(job, filter.q))
  )
}

/** By the time of their end, jobs that ended in the same millisecond stand by id. */
function sorted(newestFirst: readonly Job[], sort: JobSort = '-createdAt'): Job[] {
  if (sort === '-createdAt') return [...newestFirst]
  if (sort === 'createdAt') return newestFirst.toReversed()
  const place = ({ endedAt, id }: Job) => `${endedAt} ${id}`
  const ended = newestFirst.filter(({ endedAt }) => endedAt !== null)
  const oldestFirst = ended.toSorted((a, b) => (place(a) < place(b) ? -1 : 1))
  return sort === 'endedAt' ? oldestFirst : oldestFirst.toReversed()
}

function asked(at: number): { principal: string; requestId: string } {
  return { principal: at % 3 === 0 ? 'ann' : 'bob', requestId: `request-${at}` }
}

function contains({ id, source, destination, principal, labels }: Job, q: string): boolean {
  const texts = [id, source, destination ?? '', principal, ...Object.entries(labels).map((pair) => pair.join('='))]
  return texts.some((text) => text.toLowerCase().includes(q.toLowerCase()))
}

function registryOf(job: Job): string {
  return `r${Number(job.labels.n) % 3}.example`
}

import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { createKeys } from '../../src/jobs/redis/keys.ts'
import { initialProgress } from '../../src/jobs/record/record.ts'
import { MOST_REGISTRIES, STATS_BUCKETS, STATS_SECONDS } from '../../src/jobs/system/stats.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { begin, newJob, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'
import { totalsOf } from '../helpers/redis/stats.ts'

const KIND_ROWS = 4
const MOST_ROWS = 256
const MIB = 1024 * 1024
const keys = createKeys()

describe('figures by time', () => {
  const stack = new CleanupStack()
  let jobs: TestJobs
  before(async () => {
    jobs = await startJobs(stack)
  })
  after(() => stack[Symbol.asyncDispose]())
  beforeEach(() => jobs.raw.flushall())

  const at = (host: string) => newJob({ queueHost: host, registries: [host], destination: `oci://${host}/team` })
  const cancelOne = async (host: string): Promise<void> => {
    const { job } = await jobs.queue.create(at(host))
    await jobs.queue.cancel(job.id)
  }
  const moveAt = async (host: string, wireBytes: number): Promise<void> => {
    const { job } = await jobs.queue.create(at(host))
    const { epoch } = await begin(jobs, job)
    const progress = { ...initialProgress(new Date().toISOString()), wireBytes, bytesSent: wireBytes }
    await jobs.runs.report(job.id, epoch, { progress })
    await jobs.queue.cancel(job.id)
  }
  const buckets = (seconds: number) => jobs.raw.keys(`*:stats:${seconds}:*`)

  for (const [resolution, seconds] of Object.entries(STATS_SECONDS) as Array<['minute' | 'hour', number]>) {
    test(`stand in whole ${resolution}s, with zeros where nothing was, and go when they are too old`, async () => {
      const most = STATS_BUCKETS[resolution]
      const idle = await jobs.queue.stats({ resolution, buckets: most })
      assert.deepEqual(totalsOf(idle), {})
      assert.equal(idle.times.length, most)
      for (const [nth, time] of idle.times.entries()) {
        assert.equal(time % seconds, 0)
        assert.equal(time, (idle.times[0] ?? 0) + nth * seconds)
      }
      const newest = idle.times.at(-1) ?? 0
      assert.ok(newest <= idle.now && idle.now < newest + seconds)

      // What the scripts wrote, as it is when time has passed since.
      for (const ago of [1, most - 2, most + 1]) {
        await cancelOne('registry.example')
        const written = (await buckets(seconds)).toSorted().at(-1) ?? ''
        const [, begins = ''] = /:(\d+)$/.exec(written) ?? []
        assert.equal(Number(begins) % seconds, 0)
        const kept = await jobs.raw.expiretime(written)
        const end = Number(begins) + seconds
        assert.ok(kept > end + (most - 1) * seconds && kept <= end + (most + 1) * seconds, `${kept - end}`)
        await jobs.raw.rename(written, keys.stats(seconds, newest - ago * seconds))
      }
      const later = await jobs.queue.stats({ resolution, buckets: most })
      assert.deepEqual(totalsOf(later), { jobsCanceled: 2 })
      const told = later.times.filter((_, nth) => later.series.jobsCanceled[nth] === 1)
      assert.deepEqual(told, [newest - (most - 2) * seconds, newest - seconds])
      const short = await jobs.queue.stats({ resolution, buckets: 10 })
      assert.deepEqual([short.times.length, totalsOf(short)], [10, { jobsCanceled: 1 }])
    })
  }

  test('of a thousand registries keep those that matter by name, and the sum of all', async () => {
    const large = Array.from({ length: 30 }, (_, nth) => [`large-${nth}.example`, (nth + 1) * MIB] as const)
    for (const [host, bytes] of large.slice(0, 15)) await moveAt(host, bytes)
    const small = Array.from({ length: 1000 }, (_, nth) => `registry-${nth}.example`).values()
    const lane = async (): Promise<void> => {
      for (const host of small) await cancelOne(host)
    }
    await Promise.all([lane(), lane(), lane(), lane()])
    for (const [host, bytes] of large.slice(15)) await moveAt(host, bytes)
    const sum = large.reduce((all, [, bytes]) => all + bytes, 0)
    const stats = await jobs.queue.stats({ resolution: 'hour', buckets: 2 })
    const { jobsBegun, jobsCanceled, wireBytesSent } = totalsOf(stats)
    assert.deepEqual([jobsBegun, jobsCanceled, wireBytesSent], [30, 1000, sum])
    const largest = large.toReversed().slice(0, MOST_REGISTRIES)
    assert.deepEqual(
      stats.registries.map((one) => [one.registry, one.totals.wireBytesSent]),
      largest,
    )
    assert.ok(stats.otherRegistries)
    assert.equal(totalsOf(stats.otherRegistries).jobsCanceled, 1000)
    const [smallest = ['', 0]] = large
    const one = await jobs.queue.stats({ resolution: 'hour', buckets: 2, registry: smallest[0] })
    assert.deepEqual(totalsOf(one), { jobsBegun: 1, bytesSent: MIB, wireBytesSent: MIB })

    for (const key of [...(await buckets(60)), ...(await buckets(3600))]) {
      const rows = await jobs.raw.hlen(key)
      assert.ok(rows <= MOST_ROWS + KIND_ROWS, `${rows}`)
      const bytes = Number(await jobs.raw.memory('USAGE', key, 'SAMPLES', 0))
      assert.ok(bytes < 40_000, `${bytes}`)
      console.log(rows, bytes)
    }
  })
})

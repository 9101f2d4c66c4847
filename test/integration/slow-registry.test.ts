import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDestination } from '../../src/content/reference.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const LAYER = 1024 * 1024
/** Of a layer, before the rest comes by the byte. */
const AT_ONCE = 64 * 1024
const SLOW = { bytesPerSecond: 1024, overMs: 3000 }
const PLACES = 8

test('ten pulls that get a few bytes a second give their places up, and go on from where they stood', async (t) => {
  const folder = await tempDir(t)
  await using slow = await startMemoryRegistry()
  await using quick = await startMemoryRegistry()
  const faults: Array<() => void> = []
  const build = (version: number) =>
    buildPackage(folder, { version: `${version}.0.0`, layers: 1, layerBytes: LAYER, seed: version, format: 'tar' })
  await publishTo(t, (await build(11)).path, parseDestination(quick.host))
  for (let version = 1; version <= 10; version += 1) {
    const { path, files } = await build(version)
    await publishTo(t, path, parseDestination(slow.host))
    const digest = files.find(({ size }) => size === LAYER)?.digest ?? ''
    const match = { method: 'GET', path: new RegExp(digest), times: Infinity }
    faults.push(slow.fail(match, { kind: 'drip', afterBytes: AT_ONCE, everyMs: 200 }))
  }
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('one', { jobs: PLACES, slow: SLOW })
  const jobs: Job[] = []
  for (let version = 1; version <= 10; version += 1) {
    jobs.push(await system.pull(`oci://${slow.host}/sample:${version}.0.0`))
  }
  const inState = async (state: Job['state']) => (await all(system, jobs)).filter((job) => job.state === state)
  await waitFor('all places to be taken', async () => (await inState('running')).length === PLACES)
  const other = await system.ended((await system.pull(`oci://${quick.host}/sample:11.0.0`)).id)
  assert.equal(other.state, 'succeeded', JSON.stringify(other.error))
  const given = await waitFor('all to have had their time', async () => {
    const retrying = await inState('retrying')
    return retrying.length === jobs.length ? retrying : undefined
  })
  for (const job of given) {
    assert.match(job.reason ?? '', /^brought \d+ bytes\/s over 3 s; gave its place to others; it comes again at [\d:]+/)
    assert.deepEqual([job.error?.code, job.error?.retryable, job.attempt], ['TRANSFER_TOO_SLOW', true, 1])
    assert.ok(Date.parse(job.progress.retryAt ?? '') > Date.now())
  }
  for (const stop of faults) stop()
  for (const { id } of jobs) {
    await system.queue.pause(id)
    await system.queue.resume(id)
  }
  for (const { id } of jobs) {
    const { state, error, attempt, progress } = await system.ended(id)
    assert.deepEqual([state, error, attempt], ['succeeded', null, 1])
    assert.ok(progress.bytesResumed >= AT_ONCE, `${progress.bytesResumed} bytes were kept`)
    assertStreamInvariants(await system.log(id))
  }
})

test('manifests and metadata that come by the byte hold no place either', async (t) => {
  const folder = await tempDir(t)
  await using slow = await startMemoryRegistry()
  const { path } = await buildPackage(folder, { layers: 1 })
  await publishTo(t, path, parseDestination(slow.host))
  const stop = slow.fail(
    { method: 'GET', path: /./, nth: 2, times: Infinity },
    { kind: 'drip', afterBytes: 9, everyMs: 200 },
  )
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('one', { jobs: 1, slow: SLOW })
  const job = await system.pull(`oci://${slow.host}/sample:1.0.0`)
  const retrying = async () => {
    const now = await system.queue.get(job.id)
    return now?.state === 'retrying' ? now : undefined
  }
  const given = await waitFor('it to give its place up', retrying, { timeoutMs: 60_000 })
  assert.match(given.reason ?? '', /^brought \d+ bytes\/s over 3 s; gave its place to others/)
  stop()
  await system.queue.pause(job.id)
  await system.queue.resume(job.id)
  const { state, error, attempt } = await system.ended(job.id)
  assert.deepEqual([state, error, attempt], ['succeeded', null, 1])
})

async function all(system: JobSystem, jobs: readonly Job[]): Promise<Job[]> {
  return Promise.all(jobs.map(async ({ id }) => (await system.queue.get(id)) as Job))
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { newJob, startJobs } from '../helpers/redis/jobs.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const OTHER = 'ann-of-accounting'
const MIB = 1024 * 1024

/** All that its owner can read of a job. */
async function allOf({ queue, events }: Pick<JobSystem, 'queue' | 'events'>, id: string): Promise<string> {
  const parts = [
    await queue.get(id),
    await queue.transfers(id, { size: 100 }),
    await queue.log(id, { limit: 1000 }),
    await queue.trace(id),
    await events.replay(id, '0-0', 1000),
  ]
  return JSON.stringify(parts)
}

function assertSilent(text: string, other: Job): void {
  for (const secret of [other.id, OTHER, 'private label', 'secret-plans', other.source]) {
    assert.equal(text.includes(secret), false, `${secret} in ${text}`)
  }
}

test('a job that waits behind those of others is told how many, and of none what it is', async (t) => {
  const jobs = await startJobs(t)
  const place = 'oci://registry.example:5000/secret-plans'
  const labels = { note: 'private label' }
  const { job: other } = await jobs.queue.create(
    newJob({ principal: OTHER, destination: place, labels, source: 'file:/other.tar' }),
  )
  await jobs.runs.heartbeat('worker-1')
  const { job } = await jobs.queue.create(newJob({ principal: 'bob' }))
  const seen = await jobs.queue.get(job.id)
  assert.match(seen?.reason ?? '', /^2nd of 2 waiting for registry\.example:5000/)
  assertSilent(await allOf(jobs, job.id), other)
  assert.throws(() => assertSilent(JSON.stringify(other), other), 'the check sees it where it is')
})

test('a job that waits for the upload and the tag of another is not told whose they are', async (t) => {
  const folder = await tempDir(t)
  const layers = { layers: 1, layerBytes: 24 * MIB, format: 'tar' as const }
  const [own, others] = [await tempDir(t), await tempDir(t)]
  const mine = await buildPackage(own, layers)
  const { path } = await buildPackage(others, layers)
  await using registry = await startMemoryRegistry()
  const [patch, tag] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  registry.fail({ method: 'PATCH' }, { kind: 'hold', until: patch.promise })
  registry.fail({ method: 'PUT', path: /\/manifests\/1\.0\.0$/ }, { kind: 'hold', until: tag.promise })
  const system = await startJobSystem(t, { roots: [folder, own, others] })
  await Promise.all([system.worker('one', { jobs: 1 }), system.worker('two', { jobs: 1 })])
  const to = `oci://${registry.host}/team`
  const labels = { note: 'private label' }
  const other = await system.publish(path, to, { principal: OTHER, labels })
  await waitFor('the first to send', async () => ((await system.queue.get(other.id))?.progress.bytesSent ?? 0) > 0)
  const job = await system.publish(mine.path, to, { principal: 'bob', options: { trace: true } })
  await waitFor('the second to watch', async () => {
    const { items } = await system.queue.transfers(job.id, { size: 100 })
    return items.some((row) => row.size === 24 * MIB && (row.bytesSkipped ?? 0) > 0)
  })
  assertSilent(await allOf(system, job.id), other)
  patch.resolve()
  await waitFor('the first to have the tag', () =>
    registry.requests.some(({ method, target }) => method === 'PUT' && target.endsWith('/manifests/1.0.0')),
  )
  await waitFor('the second to want it', async () => (await system.queue.get(job.id))?.progress.phase === 'committing')
  assertSilent(await allOf(system, job.id), other)
  tag.resolve()
  for (const { id } of [other, job]) assert.equal((await system.ended(id)).state, 'succeeded')
  assertSilent(await allOf(system, job.id), other)
})

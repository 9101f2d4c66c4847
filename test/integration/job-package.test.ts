import assert from 'node:assert/strict'
import { copyFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { ANONYMOUS } from '../../src/access/principal.ts'
import { TITLE_ANNOTATION } from '../../src/content/descriptor.ts'
import type { ImageManifest } from '../../src/content/manifest.ts'
import type { Job, JobEvent, JobPackage } from '../../src/jobs/model/definitions.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry } from '../helpers/packages/pulling.ts'

import { begin, newJob, RESULT, startJobs } from '../helpers/redis/jobs.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const NEMO: JobPackage = { name: 'nemo', version: '1.2.0', architecture: 'amd64', flavor: null }
const ARMADA: JobPackage = { name: 'armada', version: '0.2.0', architecture: 'amd64', flavor: null }

/** What a job is said to be about, in the order in which that was told, each with the share of its bytes that was done then. */
function told(events: readonly JobEvent[]): Array<{ about: JobPackage; type: string; done: boolean }> {
  const jobs = events.flatMap((event) =>
    'job' in event && event.job.package ? [{ type: event.type, ...event.job }] : [],
  )
  return jobs
    .filter((job, at) => JSON.stringify(job.package) !== JSON.stringify(jobs[at - 1]?.package))
    .map(({ type, done, package: about }) => ({ about: about as JobPackage, type, done }))
}

async function succeeded(system: JobSystem, { id }: Pick<Job, 'id'>): Promise<JobEvent[]> {
  const ended = await system.ended(id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  return await system.log(id)
}

describe('what a job is about', () => {
  test('every kind tells it by a state event while it runs, once', async (t) => {
    const [registry, other] = [await startMemoryRegistry(), await startMemoryRegistry()]
    t.after(() => Promise.all([registry.close(), other.close()]))
    const system = await startJobSystem(t, { roots: [dirname(FIXTURES.nemoAmd64), dirname(FIXTURES.armadaBundle)] })
    await system.worker('one')
    const reads = (source: string) => ({ kind: 'verify' as const, source, destination: null })
    const from = (host: string, name: string) => `oci://${host}/team/${name}`
    for (const [path, about] of [
      [FIXTURES.nemoAmd64, NEMO],
      [FIXTURES.armadaBundle, ARMADA],
    ] as const) {
      const reference = from(registry.host, `${about.name}:${about.version}`)
      const jobs = [() => system.publish(path, `oci://${registry.host}/team`), () => system.pull(reference)]
      jobs.push(() => system.copy(reference, `oci://${other.host}/team`))
      jobs.push(
        () => system.pull(reference, reads(reference)),
        () => system.pull(reference, reads(`file:${path}`)),
      )
      const store = async () => `store:${(await system.store.packages.list())[0]?.digest}`
      jobs.push(async () => await system.pull(reference, reads(await store())))
      jobs.push(async () => await system.publish('', `oci://${other.host}/again`, { source: await store() }))
      for (const options of [{ dryRun: true }]) {
        jobs.push(() => system.publish(path, `oci://${other.host}/dry`, { options }))
        jobs.push(() => system.pull(reference, { options }))
        jobs.push(() => system.copy(reference, `oci://${other.host}/dry`, { options }))
      }
      for (const make of jobs) {
        const job = await make()
        assert.equal(job.package, null)
        const events = await succeeded(system, job)
        const name = `${job.kind} ${job.source}`
        assert.deepEqual(told(events), [{ about, type: 'state', done: false }], name)
        assert.deepEqual((await system.queue.get(job.id))?.package, about, name)
      }
      for (const { digest } of await system.store.packages.list()) await system.store.packages.delete(digest)
    }
    await system.assertNothingLeft()
  })

  test('the name of a compressed archive is a guess, which its zarf.yaml sets right', async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    const root = await tempDir(t, 'packages')
    const path = join(root, 'zarf-package-other-arm64-9.tar.zst')
    await copyFile(FIXTURES.nemoAmd64, path)
    const system = await startJobSystem(t, { roots: [root] })
    await system.worker('one')
    const events = await succeeded(system, await system.publish(path, `oci://${registry.host}/team`))
    const guess = { name: 'other', version: '9', architecture: 'arm64', flavor: null }
    assert.deepEqual(told(events), [
      { about: guess, type: 'state', done: false },
      { about: NEMO, type: 'state', done: false },
    ])
  })

  test('a copy of several architectures is of multi, and one that could not be read tells nothing', async (t) => {
    const [registry, other] = [await startMemoryRegistry(), await startMemoryRegistry()]
    t.after(() => Promise.all([registry.close(), other.close()]))
    await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [
      { path: FIXTURES.nemoAmd64, published: 'nemo' },
      { path: FIXTURES.nemoArm64, published: 'nemo', architecture: 'arm64' },
    ])
    const system = await startJobSystem(t, { roots: [] })
    await system.worker('one')
    const copied = (more: object = {}) =>
      system.copy(`oci://${registry.host}/team/nemo:1.2.0`, `oci://${other.host}/team`, more)
    const events = await succeeded(system, await copied())
    assert.deepEqual(told(events), [{ about: { ...NEMO, architecture: 'multi' }, type: 'state', done: false }])
    for (const architecture of ['amd64', 'arm64']) {
      const { layers } = JSON.parse(publishedManifest('nemo', architecture).toString('utf8')) as ImageManifest
      const definition = layers.find(({ annotations }) => annotations?.[TITLE_ANNOTATION] === 'zarf.yaml')
      registry.deleteBlob('team/nemo', definition?.digest ?? '')
    }
    const again = { options: { tag: 'again' } }
    assert.deepEqual(told(await succeeded(system, await copied(again))), [])
  })
})

test('jobs are found by what they are about, which a retry keeps until its run says otherwise', async (t) => {
  const jobs = await startJobs(t)
  const list = async (filter: object) => {
    const { items } = await jobs.queue.list(filter, { size: 50 }, ANONYMOUS)
    return items.map(({ id }) => id)
  }
  const { job } = await jobs.queue.create(newJob({ source: 'upload:1' }))
  const { job: plain } = await jobs.queue.create(newJob({ source: 'upload:2' }))
  const about = { name: 'pilot', version: '2.0.0', architecture: 'amd64', flavor: 'brass' }
  const { epoch } = await begin(jobs, job)
  await jobs.runs.report(job.id, epoch, { package: about })
  const { revision } = (await jobs.queue.get(job.id)) ?? {}
  await jobs.runs.report(job.id, epoch, { package: about })
  assert.equal((await jobs.queue.get(job.id))?.revision, revision, 'the same again is no change')
  assert.equal((await jobs.events.replay(job.id, '0-0', 100)).filter(({ event }) => event.type === 'state').length, 3)
  const changes = await jobs.raw.xrange('{layerd}:fleet', '-', '+')
  assert.equal(changes.filter(([, fields]) => fields.includes(job.id)).length, 3, 'made, begun, named')
  assert.deepEqual(await list({ package: 'pilot' }), [job.id])
  assert.deepEqual(await list({ package: 'pilo' }), [])
  assert.deepEqual(await list({ q: 'ILOT:2.0.0-brass' }), [job.id])
  await jobs.runs.finish(job.id, epoch, { state: 'canceled', reason: null })
  assert.deepEqual((await jobs.queue.retry(job.id)).package, about)
  const again = await begin(jobs, job, 2)
  assert.deepEqual(again.job.package, about)
  const finished = { state: 'succeeded', result: RESULT } as const
  await jobs.runs.finish(job.id, again.epoch, finished, { package: { ...about, name: 'other' } })
  assert.deepEqual(await list({ package: 'other' }), [job.id])
  await jobs.raw.hdel(`{layerd}:job:${plain.id}`, 'package')
  assert.equal((await jobs.queue.get(plain.id))?.package, null, 'a record from before there was one')
  assert.equal((await jobs.queue.cancel(plain.id)).package, null)
})

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { createRegistryFacts } from '../../src/jobs/hints/registry-facts.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createKeptFacts } from '../../src/oci/facts/kept-facts.ts'
import { defer } from '../helpers/cleanup.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startJobs } from '../helpers/redis/jobs.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const HOST = 'registry.example'
const DAY_MS = 86_400_000

test('what one worker process learnt of a registry the next one knows', async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 20 * MIB, format: 'tar' })
  const registry = await startMemoryRegistry({ maxBodyBytes: 5 * MIB, mount: false })
  t.after(() => registry.close())
  const system = await startJobSystem(t, { roots: [folder] })
  const lessons = (name: string) => {
    const own = registry.requests.filter(({ headers }) => headers['user-agent'] === `layerd/${name}`)
    const singlePosts = own.filter(({ method, query }) => method === 'POST' && query.has('digest'))
    return [own.filter(({ status }) => status === 413).length > 0, singlePosts.length]
  }
  for (const name of ['first', 'second']) {
    const worker = await system.workerProcess(name)
    const job = await system.publish(built.path, `${registry.host}/${name}`)
    const ended = await system.ended(job.id)
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
    await worker.stop()
  }
  assert.deepEqual(lessons('first'), [true, 1])
  assert.deepEqual(lessons('second'), [false, 0])
})

/** Processes that learn of one registry, over one Redis. */
async function scene(t: TestContext) {
  const jobs = await startJobs(t)
  const store = (clock = systemClock) => {
    const facts = createRegistryFacts({ redis: jobs.options.redis, clock })
    defer(t, () => facts.close())
    return facts
  }
  const process = async (facts = store()) => {
    const kept = createKeptFacts(HOST, facts)
    await kept.refresh()
    return kept
  }
  return { jobs, store, process }
}

test('each process adds its facts, the newer sight of one wins, and what no longer holds goes for all', async (t) => {
  const { process } = await scene(t)
  const [one, other] = [await process(), await process()]
  one.learned.singlePost = false
  one.learned.uploads.deadlineMs = 60_000
  one.share()
  other.learned.uploads.maxBodyBytes = 8 * MIB
  other.learned.selfMount = 'asking'
  other.share()
  const { learned } = await process()
  await waitFor('both to be told', async () => {
    const { singlePost, uploads } = (await process()).learned
    return singlePost === false && uploads.deadlineMs === 60_000 && uploads.maxBodyBytes === 8 * MIB
  })
  assert.equal(learned.selfMount, undefined)

  await other.refresh()
  assert.equal(other.learned.uploads.deadlineMs, 60_000)
  assert.equal(other.learned.selfMount, 'asking')
  delete other.learned.uploads.deadlineMs
  other.share()
  one.learned.uploads.maxBodyBytes = 4 * MIB
  await one.refresh()
  assert.equal(one.learned.uploads.maxBodyBytes, 4 * MIB, 'news that were not told yet stay')
  await waitFor('the deadline to be gone', async () => {
    await one.refresh()
    return one.learned.uploads.deadlineMs === undefined
  })
})

test('a fact ends a week after it was learnt, also in a process that has it', async (t) => {
  const { jobs, store, process } = await scene(t)
  let now = Date.now()
  const clock = { ...systemClock, now: () => now }
  const facts = store(clock)
  assert.ok(await facts.save(HOST, { maxBodyBytes: MIB }))
  assert.ok((await jobs.raw.ttl(`{layerd}:facts:${HOST}`)) > 0)
  const kept = await process(facts)
  now += 6 * DAY_MS
  assert.ok(await facts.save(HOST, { cutKeeps: 'bytes' }))
  await kept.refresh()
  assert.equal(kept.learned.uploads.maxBodyBytes, MIB)
  now += 2 * DAY_MS
  await kept.refresh()
  assert.deepEqual(kept.learned.uploads, { cutKeeps: 'bytes' })
})

test('what is no fact is not taken, and without Redis each process learns for itself', async (t) => {
  const { jobs, store, process } = await scene(t)
  const facts = store()
  const odd = { singlePost: 'yes', cutKeeps: 'all', maxBodyBytes: -1, parts: 'taken', __proto__: 1, hosts: 'any' }
  assert.ok(await facts.save(HOST, odd))
  const kept = await process(facts)
  assert.deepEqual(kept.learned.uploads, { parts: 'taken' })
  assert.equal(kept.learned.singlePost, undefined)
  await jobs.redis.stop()
  kept.learned.singlePost = true
  kept.share()
  await kept.refresh()
  assert.equal(kept.learned.singlePost, true)
  await jobs.redis.start()
  await waitFor('what was learnt meanwhile to be told', async () => {
    kept.share()
    return (await facts.load(HOST))?.['singlePost'] === true
  })
})

test('what no longer holds stays gone though Redis refuses the write, and is told once it takes it', async (t) => {
  const { jobs, process } = await scene(t)
  const [kept, other] = [await process(), await process()]
  kept.learned.uploads.deadlineMs = 60_000
  kept.share()
  await waitFor('the deadline to be told', async () => {
    await other.refresh()
    return other.learned.uploads.deadlineMs === 60_000
  })
  await jobs.raw.config('SET', 'min-replicas-to-write', '1')
  delete kept.learned.uploads.deadlineMs
  kept.share()
  await waitFor('the write to be refused', async () =>
    (await jobs.raw.info('errorstats')).includes('errorstat_NOREPLICAS'),
  )
  for (let round = 1; round <= 2; round += 1) {
    await kept.refresh()
    assert.equal(kept.learned.uploads.deadlineMs, undefined)
  }
  await jobs.raw.config('SET', 'min-replicas-to-write', '0')
  await waitFor('the deadline to be gone', async () => {
    kept.share()
    await other.refresh()
    return other.learned.uploads.deadlineMs === undefined
  })
})

test('what is learnt and told while an answer is on its way is not undone by it', async (t) => {
  const { store, process } = await scene(t)
  const facts = store()
  assert.ok(await facts.save(HOST, { parts: 'taken', maxBodyBytes: MIB }))
  const kept = await process(facts)
  const refreshed = kept.refresh()
  kept.learned.uploads.deadlineMs = 60_000
  delete kept.learned.uploads.maxBodyBytes
  kept.share()
  await refreshed
  assert.deepEqual(kept.learned.uploads, { parts: 'taken', deadlineMs: 60_000 })
  await kept.refresh()
  assert.deepEqual(kept.learned.uploads, { parts: 'taken', deadlineMs: 60_000 })
})

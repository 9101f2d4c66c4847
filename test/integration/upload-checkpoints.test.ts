import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { createUploadCheckpoints } from '../../src/jobs/uploads/checkpoints.ts'
import { defer } from '../helpers/cleanup.ts'
import { begin, newJob, startJobs } from '../helpers/redis/jobs.ts'

const KEY = { registry: 'registry.example', repository: 'team/nemo', digest: digestOf('layer') }

function upload(name: string, offset = 5) {
  return { location: `https://registry.example/v2/up/${name}`, offset, size: 9, startedAt: 1 }
}

/** What the runs of several jobs keep, and how another run of one of them begins. */
async function setUp(t: TestContext) {
  const jobs = await startJobs(t)
  const checkpoints = createUploadCheckpoints(jobs.options)
  defer(t, () => checkpoints.close())
  const newRun = async (job: { id: string }) => checkpoints.forRun(job.id, (await begin(jobs, job)).epoch)
  const create = async () => (await jobs.queue.create(newJob())).job
  return { jobs, create, newRun }
}

test('a run clears what it has saved, and what it has found there', async (t) => {
  const { create, newRun } = await setUp(t)
  const one = await newRun(await create())
  await one.save(KEY, upload('first'))
  await one.clear(KEY)
  assert.equal(await one.load(KEY), undefined)
  await one.save(KEY, upload('second'))
  const two = await newRun(await create())
  assert.deepEqual(await two.load(KEY), upload('second'))
  await two.clear(KEY)
  assert.equal(await one.load(KEY), undefined)
})

test('a run clears nothing that another job has saved there since it looked', async (t) => {
  const { create, newRun } = await setUp(t)
  const one = await newRun(await create())
  const two = await newRun(await create())
  assert.equal(await one.load(KEY), undefined)
  await two.save(KEY, upload('other'))
  await one.clear(KEY)
  assert.deepEqual(await two.load(KEY), upload('other'))

  await one.load(KEY)
  await two.save(KEY, upload('other', 7))
  await one.clear(KEY)
  assert.deepEqual(await two.load(KEY), upload('other', 7), 'further on than the one that was found')

  await one.save(KEY, upload('own'))
  await two.save(KEY, upload('next'))
  await one.clear(KEY)
  assert.deepEqual(await two.load(KEY), upload('next'), 'in the place of its own')
})

test('a run that was replaced does not clear what its heir goes on with and has not saved yet', async (t) => {
  const { create, newRun } = await setUp(t)
  const job = await create()
  const sleeper = await newRun(job)
  await sleeper.save(KEY, upload('first'))
  const heir = await newRun(job)
  assert.deepEqual(await heir.load(KEY), upload('first'))
  await sleeper.clear(KEY)
  assert.deepEqual(await heir.load(KEY), upload('first'))
})

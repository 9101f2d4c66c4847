import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { createUploadCheckpoints } from '../../src/jobs/uploads/checkpoints.ts'
import { defer } from '../helpers/cleanup.ts'
import { begin, newJob, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'

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

/** What the runs of a job have noted, whatever is sealed in it. */
const noted = async (jobs: TestJobs, id: string) => Object.keys(await jobs.raw.hgetall(`{layerd}:job:${id}:sessions`))

test('a session that is given up is noted in the step that clears what was saved of it', async (t) => {
  const { jobs, create, newRun } = await setUp(t)
  const job = await create()
  const run = await newRun(job)
  const note = run.opened(KEY, upload('first').location)
  await run.save(KEY, upload('first'), note)
  await run.settle()
  assert.deepEqual(await noted(jobs, job.id), [])
  await run.clear(KEY, note)
  assert.equal(await run.load(KEY), undefined)
  assert.equal((await noted(jobs, job.id)).length, 1)
  note.closed()
  await run.settle()
  assert.deepEqual(await noted(jobs, job.id), [])
})

test('also where another job has saved its own there since', async (t) => {
  const { jobs, create, newRun } = await setUp(t)
  const job = await create()
  const run = await newRun(job)
  const note = run.opened(KEY, upload('first').location)
  await run.save(KEY, upload('first'), note)
  const other = await newRun(await create())
  await other.save(KEY, upload('other'))
  await run.clear(KEY, note)
  assert.deepEqual(await other.load(KEY), upload('other'))
  assert.equal((await noted(jobs, job.id)).length, 1)
})

test('not so by a run that was replaced: its heir may go on with the session', async (t) => {
  const { jobs, create, newRun } = await setUp(t)
  const job = await create()
  const sleeper = await newRun(job)
  const note = sleeper.opened(KEY, upload('first').location)
  await sleeper.save(KEY, upload('first'), note)
  const heir = await newRun(job)
  await sleeper.clear(KEY, note)
  await sleeper.settle()
  assert.deepEqual(await heir.load(KEY), upload('first'))
  assert.deepEqual(await noted(jobs, job.id), [])
})

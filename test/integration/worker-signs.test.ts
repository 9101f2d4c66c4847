import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createJobRuns } from '../../src/jobs/runs.ts'
import { defer } from '../helpers/cleanup.ts'
import { addJob, startInstantWorker } from '../helpers/redis/instant-worker.ts'
import { startJobs } from '../helpers/redis/jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'

test('a worker gives a sign every two seconds at most, however many jobs come and go', async (t) => {
  const jobs = await startJobs(t)
  const runs = createJobRuns(jobs.options)
  defer(t, () => runs.close())
  const signs: number[] = []
  let ran = 0
  const begun = performance.now()
  await startInstantWorker(t, jobs, {
    name: 'one',
    jobs: 4,
    runs: {
      ...runs,
      heartbeat(id, word) {
        signs.push(word?.facts?.jobs.length ?? 0)
        return runs.heartbeat(id, word)
      },
    },
    run: async () => void (ran += 1),
  })
  // Until there were several signs of a worker that is at it all the time.
  for (let added = 0; signs.length < 6; added += 1) {
    await addJob(jobs, 'registry.example')
    await waitFor('it to run', async () => ran > added)
  }
  const seconds = (performance.now() - begun) / 1000
  // Two at its start, one as it begins to listen, and one that the first job brings.
  assert.ok(signs.length <= 4 + seconds / 2, `${signs.length} signs in ${seconds} s`)
  assert.ok(ran > 2 * signs.length, `${ran} jobs`)
})

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { freeHeldJobs } from '../../src/jobs/dispatch/free-held-jobs.ts'
import { createKeys, queueName } from '../../src/jobs/redis/keys.ts'
import { connectRedis } from '../../src/jobs/redis/redis.ts'
import { defer } from '../helpers/cleanup.ts'
import { startRedis } from '../helpers/redis/redis.ts'

const HOST = 'registry.example'
const keys = createKeys()
const queue = `${keys.bullPrefix}:${queueName(HOST)}`
const job = `${queue}:one`

/** A job that a worker holds, as BullMQ writes it. */
async function held(t: TestContext) {
  const { socketPath } = await startRedis(t)
  const redis = connectRedis({ socketPath }, { role: 'worker' })
  defer(t, async () => redis.disconnect())
  const take = (worker: string) => Promise.all([redis.hset(job, 'pb', worker), redis.set(`${job}:lock`, `${worker}'s`)])
  await redis.lpush(`${queue}:active`, 'one')
  await take('dead')
  return { redis, take }
}

test('a job of a dead worker loses its lock, and is looked at by the next check', async (t) => {
  const { redis } = await held(t)
  await redis.set(`${queue}:stalled-check`, '1')
  assert.equal(await freeHeldJobs(redis, { keys, host: HOST }, (worker, id) => worker === 'dead' && id === 'one'), 1)
  assert.equal(await redis.exists(`${job}:lock`, `${queue}:stalled-check`), 0)
  assert.deepEqual(await redis.smembers(`${queue}:stalled`), ['one'])
})

for (const next of ['alive', 'dead']) {
  test(`a job that was freed and taken again (by ${next}) in the moment before keeps its lock`, async (t) => {
    const { redis, take } = await held(t)
    const taken: Array<Promise<unknown>> = []
    const isLost = (): boolean => {
      // On the same connection, so before whatever is sent next. A worker's next lock has another token.
      taken.push(take(next), redis.set(`${job}:lock`, 'the next one'))
      return true
    }
    assert.equal(await freeHeldJobs(redis, { keys, host: HOST }, isLost), 0)
    await Promise.all(taken)
    assert.equal(await redis.get(`${job}:lock`), 'the next one')
    assert.equal(await redis.exists(`${queue}:stalled`), 0)
  })
}

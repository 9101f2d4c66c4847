import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { AppError } from '../../src/lib/errors.ts'
import { createUploadCheckpoints } from '../../src/jobs/uploads/checkpoints.ts'
import { createTagLocks } from '../../src/jobs/redis/tag-locks.ts'
import { defer } from '../helpers/cleanup.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { startJobs } from '../helpers/redis/jobs.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const REFERENCE = 'registry.example/team/nemo:1.2.0'
const never = new AbortController().signal

test('one holder a tag at a time, over processes; other tags do not wait', async (t) => {
  const redis = await startRedis(t)
  const processes = [1, 2, 3].map(() => createTagLocks({ redis: { socketPath: redis.socketPath } }))
  for (const locks of processes) defer(t, () => locks.close())
  let inside = 0
  let most = 0
  const hold = async (at: number) =>
    processes[at % 3]?.withTagLock(REFERENCE, never, async () => {
      inside += 1
      most = Math.max(most, inside)
      await processes[0]?.withTagLock('registry.example/team/other:1', never, async () => {})
      inside -= 1
    })
  await Promise.all(Array.from({ length: 9 }, (_, at) => hold(at)))
  assert.deepEqual([most, inside], [1, 0])
})

test('a lock outlives its expiry while it is held, and is free after the task, also one that failed', async (t) => {
  const redis = await startRedis(t)
  const locks = createTagLocks({ redis: { socketPath: redis.socketPath }, expiryMs: 300 })
  const other = createTagLocks({ redis: { socketPath: redis.socketPath }, expiryMs: 300 })
  defer(t, () => locks.close())
  defer(t, () => other.close())
  let otherIn = false
  const task = locks.withTagLock(REFERENCE, never, async (signal) => {
    const waiting = other.withTagLock(REFERENCE, never, async () => {
      otherIn = true
    })
    await new Promise((resolve) => setTimeout(resolve, 1200))
    assert.deepEqual([otherIn, signal.aborted], [false, false])
    return { waiting }
  })
  await (await task).waiting
  assert.equal(otherIn, true)
  await assert.rejects(
    locks.withTagLock(REFERENCE, never, () => Promise.reject(new Error('failed inside'))),
    /failed inside/,
  )
  await other.withTagLock(REFERENCE, never, async () => {})
})

test('a lock is freed although the first word of it got lost', async (t) => {
  const redis = await startRedis(t)
  const proxy = await startFaultProxy(t, redis.socketPath)
  const locks = createTagLocks({ redis: { url: `redis://${proxy.host}` } })
  const other = createTagLocks({ redis: { socketPath: redis.socketPath } })
  defer(t, () => locks.close())
  defer(t, () => other.close())
  const lost = await locks.withTagLock(REFERENCE, never, async () => proxy.fail({ call: 1 }))
  assert.equal(lost.met, true)
  let entered = false
  await other.withTagLock(REFERENCE, AbortSignal.timeout(5000), async () => void (entered = true))
  assert.equal(entered, true)
})

test('who loses the lock is told to stop', async (t) => {
  const jobs = await startJobs(t)
  const locks = createTagLocks({ redis: jobs.options.redis, expiryMs: 300 })
  defer(t, () => locks.close())
  const lost = locks.withTagLock(REFERENCE, never, async (signal) => {
    await jobs.raw.set(`{layerd}:lock:tag:${REFERENCE}`, 'another')
    await waitFor('the signal', () => signal.aborted)
    signal.throwIfAborted()
  })
  await assert.rejects(lost, { code: 'JOB_FENCED' })
  assert.equal(await jobs.raw.get(`{layerd}:lock:tag:${REFERENCE}`), 'another', "another's lock stays")
  await jobs.raw.del(`{layerd}:lock:tag:${REFERENCE}`)
  const cutOff = locks.withTagLock(REFERENCE, never, async (signal) => {
    await jobs.redis.kill()
    await waitFor('the signal', () => signal.aborted)
    signal.throwIfAborted()
  })
  await assert.rejects(cutOff, { code: 'JOB_FENCED' })
})

test('waiting for a lock ends with the signal', async (t) => {
  const redis = await startRedis(t)
  const locks = createTagLocks({ redis: { socketPath: redis.socketPath } })
  defer(t, () => locks.close())
  await locks.withTagLock(REFERENCE, never, async () => {
    const controller = new AbortController()
    const waiting = locks.withTagLock(REFERENCE, controller.signal, async () => {})
    controller.abort(new AppError('JOB_CANCELED', 'enough'))
    await assert.rejects(waiting, { code: 'JOB_CANCELED' })
  })
})

test('an upload session is found by any run, sealed, and an older run of the job cannot undo a newer one', async (t) => {
  const jobs = await startJobs(t)
  const checkpoints = createUploadCheckpoints(jobs.options)
  defer(t, () => checkpoints.close())
  const key = { registry: 'registry.example', repository: 'team/nemo', digest: digestOf('layer') }
  const upload = {
    location: 'https://registry.example/v2/up?state=location-in-clear',
    offset: 5,
    size: 9,
    startedAt: 1,
  }
  const zombie = checkpoints.forRun('job-1', 1)
  const owner = checkpoints.forRun('job-1', 2)
  const other = checkpoints.forRun('job-2', 1)
  assert.equal(await owner.load(key), undefined)
  await zombie.save(key, upload)
  assert.deepEqual(await owner.load(key), upload)
  const further = { ...upload, offset: 7 }
  await owner.save(key, further)
  await zombie.save(key, upload)
  await zombie.clear(key)
  assert.deepEqual(await other.load(key), further)
  const [name = ''] = await jobs.raw.keys('{layerd}:upload:*')
  assert.equal(name, `{layerd}:upload:registry.example/team/nemo@${key.digest}`)
  assert.doesNotMatch(JSON.stringify(await jobs.raw.hgetall(name)), /in-clear/)
  assert.ok((await jobs.raw.ttl(name)) > 0)
  await other.save(key, upload)
  await other.clear(key)
  assert.equal(await owner.load(key), undefined)
  await owner.save(key, upload)
  const stranger = createUploadCheckpoints({ ...jobs.options, secretKey: randomBytes(32) })
  defer(t, () => stranger.close())
  assert.equal(await stranger.forRun('job-1', 3).load(key), undefined, 'what cannot be opened is not there')
})

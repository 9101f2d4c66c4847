import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { createBlobPlaces } from '../../src/jobs/hints/blob-places.ts'
import { defer } from '../helpers/cleanup.ts'
import { startJobs, type TestJobs } from '../helpers/redis/jobs.ts'

const REGISTRY = 'registry.example:5000'
const place = (repository: string, registry = REGISTRY) => ({ registry, repository })
const digests = Array.from({ length: 1200 }, (_, at) => digestOf(`blob ${at}`))
const [first = digestOf(''), second = digestOf('')] = digests

function placesOf(t: TestContext, jobs: TestJobs, maxBlobs?: number) {
  const places = createBlobPlaces({ ...jobs.options, ...(maxBlobs === undefined ? {} : { maxBlobs }) })
  defer(t, () => places.close())
  return places
}

test('what one process learnt another finds, the newest place first, per registry', async (t) => {
  const jobs = await startJobs(t)
  const one = placesOf(t, jobs)
  for (const name of ['team/a', 'team/b', 'team/c', 'team/d', 'team/b']) {
    await one.learn(place(name), [first])
    jobs.clock.advance(1000)
  }
  await one.learn(place('elsewhere', 'other.example'), [second])
  const other = placesOf(t, jobs)
  assert.deepEqual([...(await other.find(REGISTRY, [first, second]))], [[first, ['team/b', 'team/d', 'team/c']]])
  assert.deepEqual(await other.repositories(REGISTRY), ['team/b', 'team/d', 'team/c', 'team/a'])
})

test('a place that proved wrong is forgotten, and with the last one the blob', async (t) => {
  const jobs = await startJobs(t)
  const places = placesOf(t, jobs)
  await places.learn(place('team/a'), [first])
  await places.learn(place('team/b'), [first])
  await places.forget(place('team/b'), first)
  assert.deepEqual((await places.find(REGISTRY, [first])).get(first), ['team/a'])
  await places.forget(place('team/a'), first)
  await places.forget(place('team/a'), first)
  assert.equal((await places.find(REGISTRY, [first])).size, 0)
  assert.equal(await jobs.raw.zcard(`{layerd}:places:${REGISTRY}:time`), 0)
})

test('it stays small: the blobs not met for longest go, and all of it after a month', async (t) => {
  const jobs = await startJobs(t)
  const places = placesOf(t, jobs, 1000)
  await places.learn(place('team/a'), digests.slice(0, 600))
  jobs.clock.advance(1000)
  await places.learn(place('team/b'), [first])
  jobs.clock.advance(1000)
  await places.learn(place('team/c'), digests.slice(600))
  const found = await places.find(REGISTRY, digests)
  assert.equal(found.size, 1000)
  assert.deepEqual(found.get(first), ['team/b', 'team/a'])
  assert.equal(
    digests.slice(600).every((digest) => found.has(digest)),
    true,
  )
  const keys = await jobs.raw.keys('{layerd}:places:*')
  assert.equal(keys.length, 3)
  for (const key of keys) assert.ok((await jobs.raw.ttl(key)) > 29 * 86_400, key)
})

test('without Redis nothing is known and nobody waits', async (t) => {
  const jobs = await startJobs(t)
  const places = placesOf(t, jobs)
  await places.learn(place('team/a'), [first])
  await jobs.redis.stop()
  assert.equal((await places.find(REGISTRY, [first])).size, 0)
  assert.deepEqual(await places.repositories(REGISTRY), [])
  await places.learn(place('team/a'), [second])
  await places.forget(place('team/a'), first)
})

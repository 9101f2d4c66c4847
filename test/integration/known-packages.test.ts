import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createKnownPackages } from '../../src/jobs/hints/known-packages.ts'
import { defer } from '../helpers/cleanup.ts'
import { startRedis } from '../helpers/redis/redis.ts'

test('what was learnt of a package is shared over Redis, for a week, and missed by nobody when Redis is gone', async (t) => {
  const redis = await startRedis(t)
  const open = () => {
    const known = createKnownPackages({ redis: { socketPath: redis.clientOptions.path } })
    defer(t, () => known.close())
    return known
  }
  const [one, other] = [open(), open()]
  const packed = randomBytes(10_000)
  await one.remember('a file', packed)
  assert.ok((await other.recall('a file'))?.equals(packed))
  assert.equal(await other.recall('another file'), undefined)
  await one.remember('a large one', randomBytes(3 * 2 ** 20))
  assert.equal(await other.recall('a large one'), undefined)
  await redis.kill()
  assert.equal(await other.recall('a file'), undefined)
  await one.remember('a file', packed)
})

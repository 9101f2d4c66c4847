import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { pino } from 'pino'
import { connectRedis } from '../../src/jobs/redis/redis.ts'
import { defer } from '../helpers/cleanup.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

interface Line {
  level: number
  msg: string
  reason?: string
  seconds?: number
}

test('an outage is one warning and one line when it is over, however many connections and attempts', async (t) => {
  const server = await startRedis(t, { tcp: true })
  const lines: Line[] = []
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as Line) })
  const connections = (['api', 'worker', 'starting'] as const).map((role) => {
    const redis = connectRedis({ url: server.url }, { role, logger })
    defer(t, () => redis.disconnect())
    return redis
  })
  await Promise.all(connections.map((redis) => once(redis, 'ready')))
  const failures = new Map(connections.map((redis) => [redis, 0]))
  for (const redis of connections) redis.on('error', () => failures.set(redis, (failures.get(redis) ?? 0) + 1))
  for (const outage of [1, 2]) {
    await server.kill()
    await waitFor('three failed attempts of each', async () =>
      [...failures.values()].every((times) => times >= 3 * outage),
    )
    assert.equal(lines.length, 2 * outage - 1)
    const [begin] = lines.slice(-1)
    assert.deepEqual([begin?.level, begin?.msg.startsWith('Redis does not answer')], [40, true])
    assert.match(begin?.reason ?? '', /ECONNREFUSED/)
    await server.start()
    await waitFor('all to be back', async () => connections.every(({ status }) => status === 'ready'))
    const end = lines.at(-1)
    assert.equal(lines.length, 2 * outage)
    assert.match(end?.msg ?? '', /^Redis is back after \d+\.\d s$/)
  }
  assert.doesNotMatch(JSON.stringify(lines), /stack|node:net/)
})

test('a connection that is made again at once is not told of', async (t) => {
  const server = await startRedis(t, { tcp: true })
  const lines: string[] = []
  const logger = pino({}, { write: (line: string) => void lines.push(line) })
  const redis = connectRedis({ url: server.url }, { role: 'worker', logger })
  defer(t, () => redis.disconnect())
  await once(redis, 'ready')
  redis.disconnect(true)
  await once(redis, 'ready')
  assert.deepEqual(lines, [])
})

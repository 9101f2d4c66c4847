import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { createConsumers } from '../../src/worker/consumers.ts'
import { createDispatcher } from '../../src/jobs/dispatch/dispatch.ts'
import { createKeys } from '../../src/jobs/redis/keys.ts'
import { connectRedis } from '../../src/jobs/redis/redis.ts'
import { createSubscriber } from '../../src/jobs/redis/subscriber.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { defer } from '../helpers/cleanup.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const SILENCE_MS = 200

test('a connection on which nothing comes back is given up, and its command goes out on another', async (t) => {
  const server = await startRedis(t)
  const proxy = await startFaultProxy(t, server.socketPath)
  const redis = connectRedis({ url: `redis://${proxy.host}` }, { role: 'worker', silenceMs: SILENCE_MS })
  defer(t, () => redis.disconnect())
  await redis.set('key', 'value')
  proxy.fail({ call: 1 }, 'silence')
  assert.equal(await redis.get('key'), 'value')
  assert.equal(proxy.connections, 2)
})

test('a subscription that went silent is found out and renewed, with word of the gap', async (t) => {
  const server = await startRedis(t)
  const proxy = await startFaultProxy(t, server.socketPath)
  const settings = { name: 'test', logger: silentLogger, probeMs: 50, silenceMs: SILENCE_MS }
  const subscriber = createSubscriber({ url: `redis://${proxy.host}` }, settings)
  defer(t, () => subscriber.close())
  const heard: string[] = []
  let gaps = 0
  subscriber.listen('channel', { onMessage: (message) => heard.push(message), onGap: () => (gaps += 1) })
  const direct = new Redis(server.clientOptions)
  defer(t, () => direct.disconnect())
  await waitFor('the subscription', async () => (await direct.publish('channel', 'one')) === 1)
  const before = gaps
  proxy.fail({ answer: 1 }, 'silence')
  await waitFor('word of the gap', () => gaps > before)
  // On a busy machine there may be one more gap, which this very message falls into.
  await waitFor('what comes after it', async () => {
    await direct.publish('channel', 'two')
    return heard.includes('two')
  })
})

test('a run that breaks is tried again, and no other run waits for it', async (t) => {
  const server = await startRedis(t)
  const target = { socketPath: server.socketPath }
  const [redis, api] = [connectRedis(target, { role: 'worker' }), connectRedis(target, { role: 'starting' })]
  defer(t, () => [redis, api].forEach((connection) => connection.disconnect()))
  const keys = createKeys()
  const ran: string[] = []
  const consumers = createConsumers({
    redis,
    bullPrefix: keys.bullPrefix,
    workerName: 'one',
    limit: 1,
    brokenPauseMs: 100,
    async run({ id }) {
      ran.push(id)
      if (id === 'breaks' && ran.length === 1) throw new Error('Redis answered nonsense')
      return { next: 'done' }
    },
    onLost: () => {},
    logger: silentLogger,
  })
  defer(t, async () => {
    await consumers.pause()
    await consumers.shutdown()
  })
  const dispatcher = createDispatcher({ redis: api, keys })
  defer(t, () => dispatcher.close())
  for (const id of ['breaks', 'other']) await dispatcher.add('registry.example', { id, round: 1 })
  consumers.open('registry.example')
  await waitFor('the second try', () => ran.length === 3)
  assert.deepEqual(ran, ['breaks', 'other', 'breaks'])
})

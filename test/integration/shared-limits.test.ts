import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import type { RegistryLimits, SharedLimits, SharedPace } from '../../src/content/limits/registry-limits.ts'
import { createSharedLimits } from '../../src/jobs/registries/shared-limits.ts'
import { createLearnedRate } from '../../src/oci/wire/pace/learned-rate.ts'
import type { RegistryConnections, RequestWait } from '../../src/oci/request/transport.ts'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'
import { startRedis, type TestRedis } from '../helpers/redis/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const HOST = 'registry.example'
const KEY = `{layerd}:limits:${HOST}`
const NONE: RegistryLimits = { jobs: null, concurrency: null, requestsPerSecond: null, bytesPerSecond: null }

/** The accounts of so many processes, over connections of their own. */
async function accounts(t: TestContext, processes: number, placeMs?: number) {
  const redis = await startRedis(t)
  const raw = new Redis(redis.clientOptions)
  const all = Array.from({ length: processes }, () => account(t, redis, placeMs))
  t.after(() => raw.disconnect())
  return { redis, raw, all }
}

function account(t: TestContext, redis: TestRedis, placeMs?: number): SharedLimits {
  const made = createSharedLimits({
    redis: { socketPath: redis.socketPath },
    records: { limitsOf: () => NONE, refresh: async () => undefined },
    ...(placeMs === undefined ? {} : { placeMs }),
  })
  t.after(() => made.close())
  return made
}

function found<T>(value: T | undefined): T {
  assert.ok(value !== undefined, 'Redis was asked')
  return value
}

test('turns of two processes follow each other, a fifth of a second of them at a time', async (t) => {
  const { raw, all } = await accounts(t, 2)
  let handed = 0
  const before = Number((await raw.time())[0]) * 1000
  for (const one of [...all, ...all, ...all]) {
    const turns = found(await one.turns(HOST, 10, 50))
    assert.deepEqual([turns.count, turns.everyMs], [2, 100])
    assert.deepEqual(turns.pace, { pauseMs: 0, status: 0, learnt: undefined })
    handed += turns.count
    // Where the next one begins: all that were handed out lie before it.
    assert.ok(Number(await raw.hget(KEY, 'at')) >= before + handed * 100)
  }
  const slow = found(await (all[0] as SharedLimits).turns('slow.example', 0.5, 50))
  assert.deepEqual([slow.count, slow.everyMs], [1, 2000])
  const next = found(await (all[1] as SharedLimits).turns('slow.example', 0.5, 50))
  assert.ok(next.delayMs > 0 && next.delayMs <= 2000, `${next.delayMs}`)
  assert.ok((await raw.pttl(KEY)) > 0, 'it ends by itself')
})

test('a host without a limit that was never refused lets all go', async (t) => {
  const { all, raw } = await accounts(t, 1)
  const turns = found(await (all[0] as SharedLimits).turns(HOST, undefined, 50))
  assert.deepEqual([turns.count, turns.delayMs, turns.everyMs], [50, 0, 0])
  assert.equal(await raw.exists(KEY), 0)
})

test('bytes of two processes follow each other, a quarter of a second of them at a time', async (t) => {
  const { raw, all } = await accounts(t, 2)
  const rate = 1024 * 1024
  const before = Number((await raw.time())[0]) * 1000
  let handed = 0
  for (const one of [...all, ...all]) {
    const { bytes } = found(await one.bytes(HOST, rate, 10 * rate))
    assert.equal(bytes, rate / 4)
    handed += bytes
    assert.ok(Number(await raw.hget(KEY, 'bytesAt')) >= before + (handed / rate) * 1000)
  }
  assert.equal(found(await (all[0] as SharedLimits).bytes(HOST, rate, 10)).bytes, 10)
  assert.equal(found(await (all[0] as SharedLimits).bytes('slow.example', 65_536, 10 * rate)).bytes, 65_536)
})

test('places are never more than the limit, and are shared evenly between those who want them', async (t) => {
  const { all } = await accounts(t, 2)
  const [a, b] = all as [SharedLimits, SharedLimits]
  const held = async (one: SharedLimits, used: number, wanted: number, limit = 3) =>
    found(await one.places(HOST, limit, { used, wanted })).held
  let freed = ''
  b.listen({ paused: () => undefined, freed: (registry) => (freed = registry), gap: () => undefined })
  assert.equal(await held(a, 0, 5), 3)
  assert.equal(await held(b, 0, 2), 0)
  assert.equal(await held(a, 3, 5), 3, 'what is under way is not taken away')
  assert.equal(await held(a, 2, 4), 2)
  await waitFor('the other to hear of it', () => freed === HOST)
  assert.equal(await held(b, 0, 2), 1)
  assert.equal(await held(a, 1, 3), 1, 'the odd one goes round')
  assert.equal(await held(b, 1, 2), 2)
  assert.equal(await held(b, 0, 0), 0)
  assert.equal(await held(a, 1, 3), 3, 'what nobody else wants')
  assert.equal(await held(a, 3, 3, 1), 3, 'a limit that was lowered lets end what is under way')
  assert.equal(await held(a, 0, 3, 1), 1)
  assert.equal(await held(b, 0, 1, 1), 0)
  assert.equal(await held(a, 0, 2, 1), 0, 'with one place it goes round')
  assert.equal(await held(b, 0, 1, 1), 1)
})

test('places of a process that is gone end by themselves', async (t) => {
  const { redis } = await accounts(t, 0)
  const dead = account(t, redis, 300)
  const alive = account(t, redis)
  assert.equal(found(await dead.places(HOST, 1, { used: 0, wanted: 1 })).held, 1)
  assert.equal(found(await alive.places(HOST, 1, { used: 0, wanted: 1 })).held, 0)
  await waitFor(
    'its place to be free',
    async () => found(await alive.places(HOST, 1, { used: 0, wanted: 1 })).held === 1,
  )
})

test('what one process was refused is told to the others, and the first refusal of a time decides', async (t) => {
  const { all } = await accounts(t, 2)
  const [a, b] = all as [SharedLimits, SharedLimits]
  const told: SharedPace[] = []
  let gaps = 0
  b.listen({ paused: (_host, pace) => void told.push(pace), freed: () => undefined, gap: () => void (gaps += 1) })
  await waitFor('the other to listen', () => gaps > 0)
  await a.refused(HOST, { status: 429, pauseMs: 5000, first: true, measured: 40 })
  await waitFor('the other to hear of it', () => told.length === 1)
  const heard = told[0] as SharedPace
  assert.ok(heard.pauseMs > 0 && heard.pauseMs <= 5000)
  assert.deepEqual([heard.status, heard.learnt?.perSecond], [429, 40])
  assert.ok((heard.learnt?.sinceMs ?? 0) < 0, 'it goes on after the pause')
  await b.refused(HOST, { status: 429, pauseMs: 1000, first: true, measured: 2 })
  const pace = found(await a.pace(HOST))
  assert.equal(pace.learnt?.perSecond, 40, 'it was under way when the first was refused')
  await b.refused(HOST, { status: 503, pauseMs: 60_000, first: false, measured: undefined })
  const longer = found(await a.pace(HOST))
  assert.ok(longer.pauseMs > 5000)
  assert.equal(longer.status, 503)
  const turns = found(await a.turns(HOST, undefined, 50))
  assert.equal(turns.everyMs, 50, 'half of what was refused')
  assert.ok(turns.delayMs > 5000, 'after the pause')
})

test('the learnt rate grows in Redis as it does in a process that is alone', async (t) => {
  const { all, raw } = await accounts(t, 1)
  const one = all[0] as SharedLimits
  for (const ceiling of [0.2, 5, 15, 200]) {
    for (const sinceMs of [0, 1000, 5000, 9000, 15_000, 40_000]) {
      const [seconds = 0, micros = 0] = (await raw.time()).map(Number)
      const now = seconds * 1000 + micros / 1000
      await raw.del(KEY)
      await raw.hset(KEY, { ceiling, from: (now - sinceMs).toFixed(3) })
      const { everyMs, pace } = found(await one.turns(HOST, undefined, 1))
      const alone = createLearnedRate()
      alone.adopt({ perSecond: ceiling, from: 0 })
      const least = alone.at(sinceMs)
      if (least === undefined) assert.equal(pace.learnt, undefined)
      else {
        const rate = 1000 / everyMs
        const most = alone.at(pace.learnt ? pace.learnt.sinceMs + 1 : Infinity) ?? Infinity
        assert.ok(rate >= least * 0.99 && rate <= most * 1.01, `${ceiling} after ${sinceMs}: ${least} ${rate} ${most}`)
      }
    }
  }
})

test('a Redis that is gone is not waited for, and is asked again once it is back', async (t) => {
  const { redis, all } = await accounts(t, 1)
  const one = all[0] as SharedLimits
  assert.ok(await one.turns(HOST, 10, 1))
  await redis.kill()
  await waitFor('nobody to be asked', async () => (await one.turns(HOST, 10, 1)) === undefined)
  assert.equal(await one.places(HOST, 1, { used: 0, wanted: 1 }), undefined)
  assert.equal(await one.bytes(HOST, 65_536, 1), undefined)
  await one.refused(HOST, { status: 429, pauseMs: 1000, first: true, measured: undefined })
  await redis.start()
  await waitFor('it to be asked again', async () => (await one.turns(HOST, 10, 1)) !== undefined)
})

test('what one process was refused others do not ask, neither one that is there nor one that comes later', async (t) => {
  const { redis, all } = await accounts(t, 2)
  let asked = 0
  const registry = await startScriptedServer(t, (_incoming, response) => {
    asked += 1
    if (asked === 2) response.writeHead(429, { 'retry-after': '300' }).end()
    else response.end('{}')
  })
  const [refused, other] = all.map((limits) => connect(t, { limits })) as [RegistryConnections, RegistryConnections]
  const stopped = new AbortController()
  const ask = (connections: RegistryConnections, waits: string[]): Promise<unknown> => {
    const onWait = (_request: object, wait: RequestWait | undefined) => void (wait && waits.push(wait.error.message))
    const transport = connections.transport(registry.host, { credential: undefined, plainHttp: false, onWait })
    return transport.send(request('/v2/some/package/tags/list', { signal: stopped.signal })).catch(() => undefined)
  }
  const waits: string[] = []
  await ask(other, waits)
  assert.deepEqual([asked, waits], [1, []])
  const sent = [ask(refused, [])]
  await waitFor('the first to be refused', () => asked === 2)
  const said = `${registry.host} limits requests (429)`
  await waitFor('the other to wait', async () => {
    // Whatever it sends before it has heard of it is let in.
    if (waits.length === 0) sent.push(ask(other, waits))
    await Promise.race([sent.at(-1), new Promise((resolve) => setImmediate(resolve))])
    return waits.length > 0
  })
  const before = asked
  const late: string[] = []
  sent.push(ask(connect(t, { limits: account(t, redis) }), late))
  await waitFor('one that comes later to wait', () => late.length > 0)
  assert.deepEqual([waits[0], late[0], asked], [said, said, before])
  stopped.abort()
  await Promise.all(sent)
})

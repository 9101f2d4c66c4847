import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../../../../src/lib/errors.ts'
import { createHostPaces, type HostPace } from '../../../../../src/oci/wire/pace/host-pace.ts'
import { fixedWindow, type RequestLimit, tokenBucket } from '../../../../helpers/registries/request-limits.ts'
import { createStepClock } from '../../../../helpers/step-clock.ts'
import { createVirtualClock } from '../../../../helpers/virtual-clock.ts'

const answer = (status: number, retryAfter?: string) => ({
  status,
  header: (name: string) => (name === 'retry-after' ? retryAfter : undefined),
})
const OK = answer(200)
const HOST = 'registry.example'
const STREAMS = 14

interface Trial {
  limit: RequestLimit
  requests: number
  roundTripMs: number
  retryAfter?: string
  processes?: number
}

/** The same in every run. */
function seeded(): () => number {
  let state = 1
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647
}

/** Requests that are each sent until they are let in, as many at once as a publish has. How many went out, and for how long. */
async function attempt({ limit, requests, roundTripMs, retryAfter, processes = 1 }: Trial) {
  const clock = createVirtualClock()
  const start = clock.now()
  const left = { requests, running: 0 }
  const random = seeded()
  let sent = 0
  const send = async (pace: HostPace): Promise<boolean> => {
    if (!pace.open) await pace.turn({})
    const name = pace.sent()
    sent += 1
    await clock.sleep(roundTripMs / 2)
    const letIn = limit(clock.now())
    await clock.sleep(roundTripMs / 2)
    return pace.answered(name, letIn ? OK : answer(429, retryAfter)) === undefined
  }
  const stream = async (pace: HostPace): Promise<void> => {
    while (left.requests > 0) {
      left.requests -= 1
      while (!(await send(pace))) continue
    }
    left.running -= 1
  }
  for (let process = 0; process < processes; process += 1) {
    const pace = createHostPaces({ clock, random }).of(HOST)
    for (let at = 0; at < STREAMS; at += 1) {
      left.running += 1
      void stream(pace)
    }
  }
  await clock.runUntil(() => left.running === 0)
  return { ratio: sent / requests, seconds: (clock.now() - start) / 1000 }
}

for (const roundTripMs of [2, 200]) {
  for (const [name, trial, atLeastSeconds] of [
    ['15 in each second', { limit: fixedWindow(15), requests: 970, retryAfter: '1' }, 65],
    ['15 a second', { limit: tokenBucket(15), requests: 970, retryAfter: '1' }, 64],
    ['15 a second, none ahead', { limit: tokenBucket(15, 1), requests: 970, retryAfter: '1' }, 65],
    ['5 in each second', { limit: fixedWindow(5), requests: 970, retryAfter: '1' }, 194],
    ['5 a second', { limit: tokenBucket(5), requests: 970, retryAfter: '1' }, 193],
    ['one in each second', { limit: fixedWindow(1), requests: 200, retryAfter: '1' }, 200],
    ['100 in each minute', { limit: fixedWindow(100, 60_000), requests: 400, retryAfter: '30' }, 180],
    ['15 in each second, without saying for how long', { limit: fixedWindow(15), requests: 970 }, 65],
    [
      '15 in each second of three processes',
      { limit: fixedWindow(15), requests: 970, retryAfter: '1', processes: 3 },
      65,
    ],
  ] as const satisfies ReadonlyArray<readonly [string, Omit<Trial, 'roundTripMs'>, number]>) {
    test(`at ${name} and ${roundTripMs} ms away few requests go out in vain, and little time is lost`, async () => {
      const { ratio, seconds } = await attempt({ ...trial, roundTripMs })
      assert.ok(ratio <= 1.2, `${ratio} times the requests`)
      assert.ok(seconds <= 1.6 * atLeastSeconds, `${seconds} s`)
    })
  }
}

test('a host that never refused anything is not waited for', () => {
  const pace = createHostPaces({ clock: createStepClock() }).of(HOST)
  for (let count = 0; count < 1000; count += 1) {
    assert.equal(pace.open, true)
    assert.equal(pace.answered(pace.sent(), answer(count % 2 === 0 ? 200 : 503)), undefined)
  }
})

test('after a refusal nothing goes out before its time, and then one after the other, in their order', async () => {
  const clock = createVirtualClock()
  const paces = createHostPaces({ clock, random: () => 0.5 })
  const pace = paces.of(HOST)
  const before = clock.now()
  const refused = pace.answered(pace.sent(), answer(429, '3'))
  assert.deepEqual(refused, { pauseMs: 3300, tooLong: false })
  const went: Array<[number, number]> = []
  const waits = [1, 2, 3].map(async (id) => {
    await paces.of(HOST).turn({})
    went.push([id, clock.now() - before])
  })
  assert.deepEqual([pace.open, paces.of('other.example').open], [false, true])
  await clock.runUntil(() => went.length === 3)
  await Promise.all(waits)
  assert.deepEqual(
    went.map(([id]) => id),
    [1, 2, 3],
  )
  assert.equal(went[0]?.[1], 3300)
  assert.ok((went[1]?.[1] ?? 0) > 3400 && (went[2]?.[1] ?? 0) > (went[1]?.[1] ?? 0) + 100, JSON.stringify(went))
})

test('the longer of what is asked for and of a growing backoff is waited, until something is let in', () => {
  const clock = createStepClock()
  const pace = createHostPaces({ clock, random: () => 0 }).of(HOST)
  const pause = (given = answer(429)) => {
    const refusal = pace.answered(pace.sent(), given)
    clock.advance(refusal?.pauseMs ?? 0)
    return refusal?.pauseMs
  }
  assert.deepEqual([pause(), pause(), pause(answer(429, '1')), pause(answer(429, '7'))], [500, 1000, 2000, 7000])
  for (let more = 0; more < 5; more += 1) pause()
  assert.equal(pause(), 30_000)
  assert.equal(pace.answered(pace.sent(), OK), undefined)
  assert.equal(pause(answer(503, '2')), 2000)
  // A date has no parts of a second, which the clock has here.
  assert.equal(pause(answer(429, new Date(clock.now() + 90_500).toUTCString())), 90_500)
})

test('requests that were refused together are one refusal', () => {
  const clock = createStepClock()
  const pace = createHostPaces({ clock, random: () => 0 }).of(HOST)
  const sent = [pace.sent(), pace.sent(), pace.sent()]
  const pauses = sent.map((each) => pace.answered(each, answer(429))?.pauseMs)
  assert.deepEqual(pauses, [500, 500, 500])
})

test('who is to wait for an hour is told so; the host is not shut for all others that long', () => {
  const pace = createHostPaces({ clock: createStepClock(), random: () => 0 }).of(HOST)
  assert.deepEqual(pace.answered(pace.sent(), answer(429, '3600')), { pauseMs: 500, tooLong: true })
})

test('an abort ends a wait at once, and the end of the process all of them', async () => {
  const paces = createHostPaces({ clock: createVirtualClock() })
  const pace = paces.of(HOST)
  pace.answered(pace.sent(), answer(429, '600'))
  const stopped = new AbortController()
  const told: Array<number | undefined> = []
  const first = pace.turn({ signal: stopped.signal, onWait: (until) => told.push(until) })
  const second = pace.pause({})
  stopped.abort(new AppError('JOB_CANCELED', 'enough'))
  await assert.rejects(first, { code: 'JOB_CANCELED' })
  assert.equal(told.length, 2)
  assert.equal(told[1], undefined)
  paces[Symbol.dispose]()
  await assert.rejects(second, { code: 'SHUTTING_DOWN' })
})

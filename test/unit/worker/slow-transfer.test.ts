import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Digest } from '../../../src/content/digest.ts'
import { AppError } from '../../../src/lib/errors.ts'
import type { EngineEvent } from '../../../src/transfer/events.ts'
import { createSlowWatch, SLOW_LIMIT } from '../../../src/worker/slow-transfer.ts'

const [ONE, TWO] = [`sha256:${'1'.repeat(64)}` as Digest, `sha256:${'2'.repeat(64)}` as Digest]
const LOOK_MS = 5000
const THROTTLED = new AppError('REGISTRY_THROTTLED', 'slow down')

const started = (digest = ONE): EngineEvent => ({ type: 'started', digest, offset: 0 })
const bytes = (wire: number, digest = ONE): EngineEvent => ({ type: 'bytes', digest, offset: wire, wire })

/** Looks every 5 s for so many minutes, with what is told before each; the error, and after how many seconds it came. */
function over(minutes: number, told: (second: number) => readonly EngineEvent[], first: readonly EngineEvent[] = []) {
  const watch = createSlowWatch(SLOW_LIMIT)
  for (const event of first) watch.event(event)
  for (let now = 0; now <= minutes * 60_000; now += LOOK_MS) {
    for (const event of told(now / 1000)) watch.event(event)
    const error = watch.look(now)
    if (error) return { seconds: now / 1000, error }
  }
  return undefined
}

test('a byte a second for five minutes is too slow, and says so', () => {
  const found = over(10, () => [bytes(5)], [started()])
  assert.equal(found?.seconds, 300)
  assert.deepEqual([found.error.code, found.error.retry], ['TRANSFER_TOO_SLOW', 'transient'])
  assert.equal(found.error.message, 'brought 1 bytes/s over 5 minutes; gave its place to others')
})

test('one KiB a second is enough, all blobs of the job together', () => {
  assert.equal(
    over(30, () => [bytes(2560), bytes(2560, TWO)], [started(), started(TWO)]),
    undefined,
  )
  assert.ok(over(30, () => [bytes(2560), bytes(2550, TWO)], [started(), started(TWO)]))
})

test('what came at first does not help for ever', () => {
  const found = over(30, (second) => (second < 60 ? [bytes(10_000_000)] : []), [started()])
  assert.ok(found && found.seconds > 300 && found.seconds <= 365, `${found?.seconds}`)
})

const PATIENT: Record<string, readonly EngineEvent[]> = {
  'nothing has begun': [],
  'the registry commits': [started(), started(TWO), { type: 'verifying', digest: TWO }],
  'the only blob waits for its next try': [
    started(),
    { type: 'retrying', digest: ONE, error: THROTTLED, attempt: 1, retryAt: 0 },
  ],
  'a request waits for its next try': [
    started(),
    { type: 'waiting', request: {}, wait: { error: THROTTLED, attempt: 2, retryAt: 0 } },
  ],
  'another job brings it': [started(), { type: 'followed', digest: ONE, offset: 5 }],
  'the blobs are there': [started(), { type: 'complete', digest: ONE }, { type: 'exists', digest: TWO }],
}
for (const [name, events] of Object.entries(PATIENT)) {
  test(`a run keeps its place while ${name}`, () => {
    assert.equal(
      over(60, () => [], events),
      undefined,
    )
  })
}

test('what waits does not help a blob that only creeps, and time that does not count is left out', () => {
  const retrying: EngineEvent = { type: 'retrying', digest: TWO, error: THROTTLED, attempt: 1, retryAt: 0 }
  assert.equal(over(10, () => [bytes(5)], [started(), started(TWO), retrying])?.seconds, 300)
  const verifying: EngineEvent = { type: 'verifying', digest: TWO }
  const complete: EngineEvent = { type: 'complete', digest: TWO }
  const commits = (second: number) => (second === 100 ? [verifying] : second === 700 ? [complete] : [])
  const found = over(30, commits, [started(), started(TWO)])
  assert.ok(found && found.seconds >= 900 && found.seconds <= 920, `${found?.seconds}`)
})

test('what is read of a local source, or found at the far end, is no standstill', () => {
  const read = (second: number): EngineEvent => ({ type: 'source', bytesRead: second * 2000, bytesTotal: 1e9 })
  assert.equal(
    over(30, (second) => [read(second)], [started()]),
    undefined,
  )
  const found = (second: number): EngineEvent[] => {
    const digest = `sha256:${String(second).padStart(64, '0')}` as Digest
    return [
      { type: 'transfer', digest, title: '', mediaType: '', size: 6000 },
      { type: 'exists', digest },
    ]
  }
  assert.equal(over(30, found, [started()]), undefined)
})

test('an answer that comes by the byte counts before any blob moves, and only while it is read', () => {
  const watch = createSlowWatch(SLOW_LIMIT)
  const answer = {}
  const after = (perLook: number, from: number, minutes: number) => {
    for (let now = from; now <= from + minutes * 60_000; now += LOOK_MS) {
      if (perLook > 0) watch.body(answer, perLook)
      if (watch.look(now)) return (now - from) / 1000
    }
    return undefined
  }
  assert.equal(after(6000, 0, 30), undefined)
  watch.body(answer, undefined)
  assert.equal(after(0, 3_600_000, 30), undefined)
  assert.ok(after(5, 7_200_000, 30) !== undefined)
})

test('a process that was stopped for an hour has not seen what came meanwhile', () => {
  const watch = createSlowWatch(SLOW_LIMIT)
  watch.event(started())
  assert.equal(watch.look(0), undefined)
  assert.equal(watch.look(3_600_000), undefined)
})

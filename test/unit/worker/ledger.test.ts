import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { digestOf } from '../../../src/content/digest.ts'
import type { Progress } from '../../../src/jobs/model/definitions.ts'
import { AppError } from '../../../src/lib/errors.ts'
import type { EngineEvent } from '../../../src/transfer/events.ts'
import { createLedger } from '../../../src/worker/ledger.ts'
import { announced, BLOBS, EMPTY, job, TOTAL } from '../../helpers/streams/ledger-jobs.ts'

const lost = new AppError('REGISTRY_CONNECTION_LOST', 'cut')
const [, , hundred, large] = BLOBS as [(typeof BLOBS)[0], (typeof BLOBS)[0], (typeof BLOBS)[0], (typeof BLOBS)[0]]

test('progress.monotone-acked: what is sent again after a cut counts once, and on the wire twice', () => {
  const progress = job().run([
    ...announced,
    { type: 'started', digest: large.digest, offset: 0 },
    { type: 'bytes', digest: large.digest, offset: 3000, wire: 3000 },
    { type: 'retrying', digest: large.digest, error: lost, attempt: 1, retryAt: 5000 },
    { type: 'started', digest: large.digest, offset: 0 },
    { type: 'bytes', digest: large.digest, offset: 2000, wire: 2000 },
  ])
  assert.deepEqual([progress.bytesDone, progress.bytesSent, progress.wireBytes], [3000, 3000, 5000])
})

test('a blob that waits for another try says until when', () => {
  const one = job()
  const waiting = one.run([
    ...announced,
    { type: 'retrying', digest: large.digest, error: lost, attempt: 1, retryAt: 5000 },
  ])
  assert.equal(waiting.retryAt, new Date(5000).toISOString())
  const going = one.run([{ type: 'started', digest: large.digest, offset: 0 }])
  assert.equal(going.retryAt, null)
})

test('bytes that a new run finds kept move from sent to resumed, once', () => {
  const one = job()
  one.run([
    ...announced,
    { type: 'started', digest: large.digest, offset: 0 },
    { type: 'bytes', digest: large.digest, offset: 4000, wire: 4000 },
  ])
  const second = one.run([...announced, { type: 'started', digest: large.digest, offset: 3500 }])
  assert.deepEqual([second.bytesDone, second.bytesResumed, second.bytesSent], [4000, 3500, 500])
  const third = one.run([...announced, { type: 'started', digest: large.digest, offset: 4200 }])
  assert.deepEqual([third.bytesDone, third.bytesResumed, third.bytesSent], [4200, 4200, 0])
  assert.equal(one.rows().find((row) => row.digest === large.digest)?.attempt, 3)
})

test('a blob that an earlier run sent is not told as skipped when this run finds it', () => {
  const one = job()
  one.run([
    ...announced,
    { type: 'started', digest: hundred.digest, offset: 0 },
    { type: 'bytes', digest: hundred.digest, offset: 100, wire: 100 },
    { type: 'complete', digest: hundred.digest },
    { type: 'exists', digest: large.digest },
  ])
  const again = one.run([
    ...announced,
    { type: 'exists', digest: hundred.digest },
    { type: 'exists', digest: large.digest },
  ])
  assert.deepEqual([again.bytesSent, again.bytesSkipped], [100, 5000])
  assert.deepEqual(again.layers, { total: 4, done: 2, skipped: 1, mounted: 0, failed: 0 })
})

test('a blob whose last answer got lost was sent, not found', () => {
  const one = job()
  one.run([
    ...announced,
    { type: 'started', digest: hundred.digest, offset: 0 },
    { type: 'bytes', digest: hundred.digest, offset: 100, wire: 100 },
  ])
  assert.equal(one.run([{ type: 'exists', digest: hundred.digest }]).bytesSent, 100)
})

test('what another job sends counts as skipped, also when this one goes on in its place', () => {
  const one = job()
  const followed = one.run([...announced, { type: 'followed', digest: large.digest, offset: 3000 }])
  assert.deepEqual([followed.bytesSkipped, followed.bytesSent, followed.wireBytes], [3000, 0, 0])
  const over = one.run([
    ...announced,
    { type: 'started', digest: large.digest, offset: 2000 },
    { type: 'bytes', digest: large.digest, offset: 5000, wire: 3000 },
    { type: 'complete', digest: large.digest },
  ])
  assert.deepEqual([over.bytesSkipped, over.bytesSent, over.bytesResumed], [3000, 2000, 0])
  assert.deepEqual(over.layers, { total: 4, done: 1, skipped: 0, mounted: 0, failed: 0 })
  const two = job()
  const events: EngineEvent[] = [
    ...announced,
    { type: 'started', digest: large.digest, offset: 0 },
    { type: 'bytes', digest: large.digest, offset: 1000, wire: 1000 },
    { type: 'followed', digest: large.digest, offset: 5000 },
    { type: 'exists', digest: large.digest },
  ]
  const found = two.run(events)
  assert.deepEqual([found.bytesSkipped, found.bytesSent, found.layers.skipped], [4000, 1000, 1])
})

/** Any course of events that an engine could tell, cut anywhere by a new run. */
const step = fc.oneof(
  fc.constant({ kind: 'new run' as const }),
  fc.record({
    kind: fc.constantFrom(
      'started',
      'bytes',
      'followed',
      'retrying',
      'failed',
      'exists',
      'mounted',
      'complete',
      'verifying',
    ),
    blob: fc.nat({ max: BLOBS.length - 1 }),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
)

function eventOf(kind: string, blob: { digest: ReturnType<typeof digestOf>; size: number }, part: number): EngineEvent {
  const { digest, size } = blob
  const offset = Math.floor(size * part)
  switch (kind) {
    case 'started':
      return { type: 'started', digest, offset }
    case 'bytes':
      return { type: 'bytes', digest, offset, wire: offset }
    case 'followed':
      return { type: 'followed', digest, offset }
    case 'retrying':
      return { type: 'retrying', digest, error: lost, attempt: 1, retryAt: 1000 }
    case 'failed':
      return { type: 'failed', digest, error: lost }
    case 'mounted':
      return { type: 'mounted', digest, from: 'other' }
    case 'verifying':
      return { type: 'verifying', digest }
    case 'complete':
      return { type: 'complete', digest }
    default:
      return { type: 'exists', digest }
  }
}

test('whatever happens, in however many runs, progress keeps its invariants', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const one = job()
      let last = EMPTY
      const check = (progress: Progress) => {
        const { bytesSkipped, bytesMounted, bytesResumed, bytesSent } = progress
        assert.equal(progress.bytesDone, bytesSkipped + bytesMounted + bytesResumed + bytesSent)
        assert.ok(Math.min(bytesSkipped, bytesMounted, bytesResumed, bytesSent) >= 0)
        assert.ok(progress.bytesDone >= last.bytesDone, 'ran backwards')
        assert.ok(progress.wireBytes >= last.wireBytes, 'the wire took bytes back')
        assert.ok(progress.layers.done >= last.layers.done, 'a layer was undone')
        if (progress.bytesTotal !== null) assert.ok(progress.bytesDone <= progress.bytesTotal, 'more than all')
        assert.equal(
          progress.bytesDone,
          one.rows().reduce((sum, row) => sum + row.bytesDone, 0),
        )
        for (const { bytesDone, bytesResumed = 0, bytesSkipped: others = 0 } of one.rows()) {
          assert.ok(
            Math.min(bytesResumed, others) >= 0 && bytesResumed + others <= bytesDone,
            "a row's parts exceed it",
          )
        }
        last = progress
      }
      let events: EngineEvent[] = [...announced]
      for (const at of steps) {
        if (at.kind === 'new run') {
          one.run(events, check)
          events = [...announced]
        } else if ('blob' in at) {
          events.push(eventOf(at.kind, BLOBS[at.blob] ?? large, at.part))
        }
      }
      one.run([...events, ...BLOBS.map(({ digest }): EngineEvent => ({ type: 'complete', digest }))], check)
      assert.equal(last.bytesDone, TOTAL)
      assert.equal(last.layers.done, BLOBS.length)
    }),
    { numRuns: 500 },
  )
})

test('at its end a run leaves nothing under way: no rate, and rows that wait or were canceled', () => {
  for (const state of ['waiting', 'canceled'] as const) {
    const ledger = createLedger({ progress: EMPTY, transfers: [], describe: () => null, now: 0 })
    for (const event of announced) ledger.apply(event)
    const [, , third, fourth] = BLOBS
    ledger.apply({ type: 'started', digest: third!.digest, offset: 0 })
    ledger.apply({ type: 'bytes', digest: third!.digest, offset: 60, wire: 60 })
    ledger.apply({ type: 'exists', digest: fourth!.digest })
    assert.ok((ledger.progress(1000).bytesPerSecond ?? 0) > 0)
    ledger.takeChanged()
    ledger.rest(state)
    const { bytesPerSecond, etaSeconds, bytesSent } = ledger.progress(2000)
    assert.deepEqual([bytesPerSecond, etaSeconds, bytesSent], [0, null, 60])
    assert.deepEqual(
      ledger.takeChanged().map((row) => [row.digest, row.state, row.bytesDone]),
      [[third!.digest, state, 60]],
    )
  }
})

test('a mounted blob that the registry lost and takes from the middle stays mounted bytes', () => {
  const ledger = createLedger({ progress: EMPTY, transfers: [], describe: () => null, now: 0 })
  for (const event of announced) ledger.apply(event)
  const { digest, size } = BLOBS[3]!
  ledger.apply({ type: 'mounted', digest, from: 'team/other' })
  ledger.apply({ type: 'started', digest, offset: 100 })
  ledger.apply({ type: 'bytes', digest, offset: size, wire: size - 100 })
  const { bytesMounted, bytesResumed, bytesSent, wireBytes } = ledger.progress(1000)
  assert.deepEqual([bytesMounted, bytesResumed, bytesSent, wireBytes], [size, 0, 0, size - 100])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../../src/lib/errors.ts'
import type { EngineEvent } from '../../../src/transfer/events.ts'
import { createLedger } from '../../../src/worker/ledger.ts'
import { announced, BLOBS, EMPTY, job, TOTAL } from '../../helpers/streams/ledger-jobs.ts'

test('what the source holds is estimated until it is known, and never less than what is there', () => {
  const source = (bytesRead: number, contentEstimate: number): EngineEvent => ({
    type: 'source',
    bytesRead,
    bytesTotal: 1000,
    contentEstimate,
  })
  const one = job()
  const early = one.run([{ type: 'outline', layers: 7 }, source(100, 4000)])
  assert.deepEqual([early.layers.total, early.bytesTotal, early.bytesTotalEstimate], [7, null, 4000])
  assert.equal(early.etaSeconds, Math.ceil(900 / 1000), 'by the source, which reads 1000 bytes a second')
  const { bytesTotalEstimate } = one.run([source(200, 50), ...announced.slice(0, -1)])
  assert.equal(bytesTotalEstimate, TOTAL, 'the layers that were met have more')
  const known = one.run([...announced])
  assert.deepEqual([known.bytesTotal, known.bytesTotalEstimate, known.layers.total], [TOTAL, null, BLOBS.length])
})

test('layers that nothing declared are added to how many there will be', () => {
  const { layers } = job().run([{ type: 'outline', layers: 2 }, ...announced.slice(0, -1)])
  assert.equal(layers.total, BLOBS.length)
})

test('a request that waits for its next try is told with its reason until it ends', () => {
  const request = {}
  const wait = {
    error: new AppError('REGISTRY_SERVER_FAILED', 'put "manifest": r.io answered 503'),
    attempt: 3,
    retryAt: 5000,
  }
  const one = job()
  const waiting = one.run([{ type: 'waiting', request, wait }])
  assert.deepEqual(
    [waiting.reason, waiting.retryAt],
    ["put 'manifest': r.io answered 503; try 3 at 00:00:05 UTC", new Date(5000).toISOString()],
  )
  const more = one.run([
    { type: 'waiting', request, wait },
    { type: 'waiting', request: {}, wait: { ...wait, retryAt: 4000 } },
    { type: 'waiting', request, wait: undefined },
  ])
  assert.equal(more.retryAt, new Date(4000).toISOString())
  const ledger = createLedger({ progress: EMPTY, transfers: [], describe: () => null, now: 0 })
  ledger.apply({ type: 'waiting', request, wait })
  ledger.rest('waiting')
  assert.deepEqual([ledger.progress(1).reason, ledger.progress(1).retryAt], [null, null])
})

test('a request that waits for a limit says when the next one goes out', () => {
  const error = new AppError('REGISTRY_THROTTLED', 'r.io limits requests')
  const told = job().run([{ type: 'waiting', request: {}, wait: { error, attempt: 1, retryAt: 3000 } }])
  assert.match(told.reason ?? '', /^r\.io limits requests; next at [\d:]+/)
})

test('a layer that is tried again gives the job its reason until it moves on', () => {
  const [{ digest }] = BLOBS as [(typeof BLOBS)[0]]
  const error = new AppError('REGISTRY_SERVER_FAILED', 'look for blob: r.io answered 500')
  const one = job()
  const waiting = one.run([...announced, { type: 'retrying', digest, error, attempt: 2, retryAt: 5000 }])
  assert.deepEqual(
    [waiting.reason, waiting.retryAt],
    ['look for blob: r.io answered 500; try 3 at 00:00:05 UTC', new Date(5000).toISOString()],
  )
  const moving = one.run([{ type: 'started', digest, offset: 0 }])
  assert.deepEqual([moving.reason, moving.retryAt], [null, null])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordedRequest } from '../../../../src/content/wire-request.ts'
import type { TracePart } from '../../../../src/jobs/progress/reports.ts'
import {
  createRunTrace,
  LAST_REQUESTS,
  type RunTrace,
  TRACED_REQUESTS,
} from '../../../../src/worker/traces/run-trace.ts'
import { createSharedTraces } from '../../../../src/worker/traces/shared-traces.ts'
import { wireRequest } from '../../../helpers/wire-request.ts'

let told = 0

function requestOf(at: number, repositories?: readonly string[]): RecordedRequest {
  const wire = wireRequest(at)
  return {
    ...(repositories ? { repositories } : {}),
    registry: 'registry.example',
    told() {
      told += 1
      return wire
    },
  }
}

function runTrace(all: boolean): { trace: RunTrace; news: () => number } {
  let news = 0
  return { trace: createRunTrace({ all, attempt: 2, onNews: () => void (news += 1) }), news: () => news }
}

const order = (part: TracePart | undefined) => part?.requests.map(({ startedAt }) => startedAt)

function send(trace: RunTrace, count: number, from = 0): void {
  for (let at = from; at < from + count; at += 1) {
    const request = requestOf(at)
    trace.began(request)
    trace.ended(request)
  }
}

test('without the option the last fifty are told of a job that failed, and nothing of another', async () => {
  told = 0
  const { trace, news } = runTrace(false)
  send(trace, 1000)
  const open = requestOf(1000)
  trace.began(open)
  assert.equal(await trace.take(), undefined)
  assert.equal(await trace.rest(false), undefined)
  assert.deepEqual([told, news()], [0, 0], 'what nobody wants to see costs no text')
  const last = await trace.rest(true)
  assert.deepEqual(
    order(last)?.toSorted((a, b) => a - b),
    Array.from({ length: LAST_REQUESTS }, (_, at) => 951 + at),
  )
  assert.deepEqual([last?.dropped, last?.most, last?.requests[0]?.attempt], [951, LAST_REQUESTS, 2])
  assert.equal(told, LAST_REQUESTS)
})

test('a run that failed before it sent anything has nothing to tell', async () => {
  assert.equal(await runTrace(false).trace.rest(true), undefined)
  assert.equal(await runTrace(true).trace.rest(true), undefined)
})

test('with the option all are told as they end, so many with a report, and those under way with the last', async () => {
  const { trace, news } = runTrace(true)
  send(trace, 700)
  assert.equal(news(), 700)
  assert.equal(order(await trace.take())?.length, 500)
  assert.equal(news(), 701, 'the rest has a report of its own')
  const open = requestOf(700)
  trace.began(open)
  assert.equal(order(await trace.take())?.length, 200)
  assert.equal(await trace.take(), undefined)
  const rest = await trace.rest(false)
  assert.deepEqual([order(rest), rest?.dropped, rest?.most], [[700], 0, TRACED_REQUESTS])
  trace.ended(open)
  assert.equal(await trace.take(), undefined, 'it was told')
})

test('while nobody takes them no more are kept than Redis would', async () => {
  const { trace } = runTrace(true)
  send(trace, 5 * TRACED_REQUESTS + 10)
  const rest = await trace.rest(false)
  assert.equal(rest?.requests.length, TRACED_REQUESTS)
  assert.equal(rest.dropped, 4 * TRACED_REQUESTS + 10)
  assert.deepEqual(order(rest)?.slice(-1), [5 * TRACED_REQUESTS + 9])
})

test('what callers share goes to the runs at that registry for as long as they are there', async () => {
  const shared = createSharedTraces()
  const [here, there] = [runTrace(true).trace, runTrace(true).trace]
  const early = requestOf(1)
  shared.trace.began(early)
  {
    using _here = shared.join('registry.example', here, () => true)
    using _there = shared.join('other.example', there, () => true)
    // It began when nobody was there.
    shared.trace.ended(early)
    const known = requestOf(2)
    shared.trace.began(known)
    shared.trace.ended(known)
    shared.trace.began(requestOf(3))
  }
  shared.trace.began(requestOf(4))
  assert.deepEqual(order(await here.rest(false)), [2, 3])
  assert.equal(await there.rest(false), undefined)
})

test('of what is about repositories a run is told of those alone that are its business', async () => {
  const shared = createSharedTraces()
  const { trace } = runTrace(true)
  const own = ['team/nemo', 'team/base']
  using _run = shared.join('registry.example', trace, ({ registry, repository }) => {
    return registry === 'registry.example' && own.includes(repository)
  })
  const about = [['team/nemo'], ['secret/plans'], ['secret/plans', 'team/nemo'], ['team/nemo', 'team/base'], []]
  for (const [at, repositories] of about.entries()) {
    const request = requestOf(at, repositories)
    shared.trace.began(request)
    shared.trace.ended(request)
  }
  assert.deepEqual(order(await trace.rest(false)), [0, 3, 4])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mergeRanges, RangePlan } from '../../../../src/store/ingest/range-plan.ts'

const span = (claim: { start: number; end: number } | undefined) => claim && [claim.start, claim.end]

test('holes are claimed in order, each byte once', () => {
  const plan = new RangePlan(100, [
    { start: 0, end: 10 },
    { start: 40, end: 50 },
  ])
  assert.equal(plan.prefix, 10)
  const claims = [plan.claim(20), plan.claim(20), plan.claim(), plan.claim()]
  assert.deepEqual(claims.map(span), [[10, 30], [30, 40], [50, 100], undefined])
})

test('what was given up is claimed again, from where it stood', () => {
  const plan = new RangePlan(100, [])
  const claim = plan.claim(40)
  assert.ok(claim)
  claim.at = 15
  plan.add({ start: claim.start, end: claim.at })
  plan.release(claim)
  assert.equal(plan.prefix, 15)
  assert.deepEqual(span(plan.claim()), [15, 100])
})

test('a claim is shortened ahead of where it stands, and takes back what nobody has', () => {
  const plan = new RangePlan(100, [])
  const long = plan.claim()
  assert.ok(long)
  long.at = 20
  plan.shorten(long, 10)
  assert.equal(long.end, 30)
  const next = plan.claim(30)
  assert.deepEqual(span(next), [30, 60])
  plan.lengthen(long)
  assert.equal(long.end, 30)
  if (next) plan.release(next)
  plan.lengthen(long)
  assert.equal(long.end, 100)
  plan.shorten(long, 500)
  assert.equal(long.end, 100)
  const bounded = new RangePlan(100, []).claim(50)
  assert.ok(bounded)
  plan.lengthen(bounded)
  assert.equal(bounded.end, 50, 'not past what it had asked for')
})

test('ranges that overlap or touch are one', () => {
  const merged = mergeRanges([
    { start: 50, end: 60 },
    { start: 0, end: 10 },
    { start: 10, end: 20 },
    { start: 15, end: 18 },
  ])
  assert.deepEqual(merged, [
    { start: 0, end: 20 },
    { start: 50, end: 60 },
  ])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type BodyPace, paced } from '../../../../../src/http/requests/bodies/body-pace.ts'
import { waitFor } from '../../../../helpers/wait-for.ts'

const PACE: BodyPace = { bytesPerSecond: 1024, overMs: 300 }

async function countOf(bytes: AsyncIterable<Buffer>): Promise<number> {
  let count = 0
  for await (const chunk of bytes) count += chunk.length
  return count
}

test('who sends nothing, and who sends a byte now and then, is too slow', async () => {
  const never = (async function* () {
    yield Buffer.alloc(1)
    await new Promise(() => undefined)
  })()
  await assert.rejects(countOf(paced(never, PACE)), {
    code: 'BODY_TOO_SLOW',
    message: /1 bytes in 0.3 s, at least 1024/,
  })
  const trickle = (async function* () {
    for (;;) {
      await delay(5)
      yield Buffer.alloc(1)
    }
  })()
  await assert.rejects(countOf(paced(trickle, PACE)), { code: 'BODY_TOO_SLOW' })
})

test('who sends enough in each span is not, however long it takes', async () => {
  let spans = 0
  const steady = (async function* () {
    for (; spans < 4; spans += 1) {
      for (const end = performance.now() + PACE.overMs; performance.now() < end; ) {
        await delay(5)
        yield Buffer.alloc(1024)
      }
    }
  })()
  assert.ok((await countOf(paced(steady, PACE))) >= 4 * 1024)
})

test("the time in which nobody asked for bytes is not the sender's", async () => {
  let now = 0
  const pace = { bytesPerSecond: 10_000, overMs: 30 }
  const ready = (async function* () {
    for (let sent = 0; sent < 60; sent += 1) yield Buffer.alloc(1)
  })()
  let count = 0
  for await (const chunk of paced(ready, pace, { now: () => now })) {
    count += chunk.length
    now += 10 * pace.overMs
    // For the looks that come meanwhile.
    await delay(5)
  }
  assert.equal(count, 60)
})

test('nor is the time in which the process itself stood still', async () => {
  let now = 0
  let asked = 0
  const clock = () => {
    asked += 1
    return now
  }
  const sent = Promise.withResolvers<void>()
  const late = (async function* () {
    await sent.promise
    yield Buffer.alloc(1)
  })()
  const count = countOf(paced(late, PACE, { now: clock }))
  now = 3_600_000
  await waitFor('a look or two', () => asked >= 4)
  sent.resolve()
  assert.equal(await count, 1)
})

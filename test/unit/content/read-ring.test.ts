import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setImmediate as tick } from 'node:timers/promises'
import * as fc from 'fast-check'
import { ReadRing } from '../../../src/content/read-ring.ts'

const MIB = 1024 * 1024
const OWN_BELOW = 64 * 1024

/**
 * A socket that fills a ring with `bytes`, in reads as large as `steps` say in turn; told to stop, it still hands out
 * 64 KiB, as TLS does.
 */
function feed(bytes: Buffer, steps: readonly number[]) {
  let at = 0
  let turn = 0
  let returned = false
  const ring: ReadRing = new ReadRing({
    size: bytes.length,
    onRoom: () => void setImmediate(run),
    onReturn: () => (returned = true),
  })
  const read = (most: number): boolean => {
    const { space } = ring
    assert.ok(space.length > 0, 'there is always room for a byte')
    const copied = bytes.copy(space, 0, at, at + most)
    at += copied
    return ring.received(copied)
  }
  const run = (): void => {
    while (at < bytes.length && read(Math.max(1, steps[turn++ % steps.length] ?? 1)));
    for (let extra = 0; extra < 4 && at < bytes.length; extra += 1) read(16_384)
  }
  return { ring, run, sent: () => at, returned: () => returned }
}

test('bytes come out as they went in, and a chunk stays until three more were asked for', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 9 * MIB }),
      fc.array(fc.integer({ min: 1, max: MIB + 100_000 }), { minLength: 1, maxLength: 6 }),
      async (size, steps) => {
        const bytes = randomBytes(size)
        const { ring, run } = feed(
          bytes,
          steps.map((step) => Math.max(step, size / 200)),
        )
        setImmediate(run)
        const seen: { chunk: Buffer; at: number }[] = []
        let position = 0
        for await (const chunk of ring) {
          seen.push({ chunk, at: position })
          position += chunk.length
          await tick()
          for (const [back, { chunk: kept, at }] of seen.toReversed().entries()) {
            if (back > 2 && kept.length >= OWN_BELOW) continue
            assert.ok(kept.equals(bytes.subarray(at, at + kept.length)), `the chunk at ${at}, ${back} later`)
          }
        }
        assert.equal(position, size)
      },
    ),
    { numRuns: 40 },
  )
})

test('reading stops while the consumer does not ask, and goes on when it does', async () => {
  const bytes = randomBytes(20 * MIB)
  const { ring, run, sent } = feed(bytes, [300_000])
  const chunks = ring[Symbol.asyncIterator]()
  setImmediate(run)
  const parts = [Buffer.from((await chunks.next()).value ?? '')]
  await tick()
  assert.ok(ring.paused)
  assert.ok(sent() <= 5 * MIB, `${sent()} bytes were taken for one chunk that was asked for`)
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) parts.push(Buffer.from(next.value))
  assert.ok(Buffer.concat(parts).equals(bytes))
})

test('what a decoder hands out after it was paused has a place', async () => {
  const bytes = randomBytes(12 * MIB)
  const ring = new ReadRing({ size: bytes.length, onRoom: () => {}, onReturn: () => {} })
  let at = 0
  const push = (until: number) => {
    while (at < until) {
      const read = bytes.copy(ring.space, 0, at, Math.min(until, at + 16_384))
      at += read
      ring.received(read)
    }
  }
  const parts: Buffer[] = []
  const chunks = ring[Symbol.asyncIterator]()
  for (;;) {
    // Up to 64 KiB beyond what it was told to stop at.
    while (!ring.paused && at < bytes.length) push(Math.min(bytes.length, at + 16_384))
    push(Math.min(bytes.length, at + 65_536))
    const next = await chunks.next()
    if (next.done) break
    parts.push(Buffer.from(next.value))
  }
  assert.ok(Buffer.concat(parts).equals(bytes))
})

test('a slow far end: what has arrived is handed on before the chunk is full', async () => {
  const ring = new ReadRing({ size: 8 * MIB, onRoom: () => {}, onReturn: () => {} })
  const chunks = ring[Symbol.asyncIterator]()
  const waiting = chunks.next()
  ring.copy(Buffer.alloc(1000, 1))
  const first = (await waiting).value
  assert.equal(first?.length, 1000)
  ring.copy(Buffer.alloc(100_000, 2))
  const second = await chunks.next()
  assert.deepEqual([second.value?.length, second.value?.[0]], [100_000, 2])
  const rest: Buffer[] = []
  for (let at = 0; at < 8; at += 1) {
    ring.copy(Buffer.alloc(MIB, 3))
    const next = await chunks.next()
    rest.push(Buffer.from(next.value ?? ''))
  }
  assert.ok(Buffer.concat(rest).equals(Buffer.alloc(8 * MIB - 101_000, 3)), 'what comes after the end is dropped')
  assert.ok(first.equals(Buffer.alloc(1000, 1)), 'a small chunk is never read over')
})

test('a failure comes after what has arrived, and an end is no failure', async () => {
  const broken = new ReadRing({ size: 3 * MIB, onRoom: () => {}, onReturn: () => {} })
  broken.copy(Buffer.alloc(5000, 1))
  broken.fail(new Error('cut'))
  const chunks = broken[Symbol.asyncIterator]()
  assert.equal((await chunks.next()).value?.length, 5000)
  await assert.rejects(chunks.next(), /cut/)
  const whole = new ReadRing({ size: 5000, onRoom: () => {}, onReturn: () => {} })
  whole.copy(Buffer.alloc(5000, 1))
  whole.fail(new Error('closed'))
  assert.equal((await Array.fromAsync(whole)).length, 1)
})

test('a consumer that stops early is told to the far end', async () => {
  const { ring, run, returned } = feed(randomBytes(3 * MIB), [MIB])
  setImmediate(run)
  for await (const _ of ring) break
  assert.ok(returned())
})

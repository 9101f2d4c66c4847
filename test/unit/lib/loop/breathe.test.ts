import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBreathing, mapInBatches, nextTurn } from '../../../../src/lib/loop/breathe.ts'

test('a loop that breathes lets timers run before it ends, and waits for nothing where it is short', async () => {
  const breathe = createBreathing()
  assert.equal(breathe(), undefined)
  const seen = { timer: false }
  setTimeout(() => (seen.timer = true), 0)
  // Many more turns than fit into the time after which it breathes.
  for (let turn = 0; turn < 1e8 && !seen.timer; turn += 1) await breathe()
  assert.ok(seen.timer)
})

test('a turn ends for what is due', async () => {
  let due = false
  setImmediate(() => (due = true))
  await nextTurn()
  assert.ok(due)
})

test('of thousands of tasks some hundred are begun at once, and results keep their order', async () => {
  let [open, most] = [0, 0]
  const items = Array.from({ length: 2000 }, (_, at) => at)
  const doubled = await mapInBatches(items, async (item) => {
    open += 1
    most = Math.max(most, open)
    await nextTurn()
    open -= 1
    return 2 * item
  })
  assert.deepEqual(
    doubled,
    items.map((item) => 2 * item),
  )
  assert.ok(most <= 256, String(most))
  await assert.rejects(
    mapInBatches(items, async (item) => assert.notEqual(item, 700)),
    assert.AssertionError,
  )
})

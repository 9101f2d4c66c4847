import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLimiter } from '../../../src/lib/limiter.ts'
import { createSingleFlight } from '../../../src/lib/single-flight.ts'
import { createTaskGroup } from '../../../src/lib/task-group.ts'

test('a waiter that gives up leaves the line without taking a slot', async () => {
  const limiter = createLimiter(1)
  const gate = Promise.withResolvers<void>()
  const first = limiter.run(() => gate.promise)
  const controller = new AbortController()
  const second = limiter.run(async () => 'second', controller.signal)
  const third = limiter.run(async () => 'third')
  controller.abort(new Error('gone'))
  await assert.rejects(second, /gone/)
  gate.resolve()
  await first
  assert.equal(await third, 'third')
  assert.equal(limiter.active, 0)
  assert.equal(limiter.waiting, 0)
})

test('callers of one key share a flight, later ones take a new one', async () => {
  const flights = createSingleFlight<number>()
  let calls = 0
  const task = async () => {
    calls += 1
    return calls
  }
  assert.deepEqual(await Promise.all([flights.run('a', task), flights.run('a', task)]), [1, 1])
  assert.equal(await flights.run('a', task), 2)
})

test('a group waits for tasks that its tasks start', async () => {
  const group = createTaskGroup(new AbortController().signal)
  const order: string[] = []
  group.spawn(async () => {
    await new Promise(setImmediate)
    group.spawn(async () => {
      await new Promise(setImmediate)
      order.push('inner')
    })
    order.push('outer')
  })
  await group.finished()
  assert.deepEqual(order, ['outer', 'inner'])
})

test('a failing task stops the others, and the group rejects after all have settled', async () => {
  const group = createTaskGroup(new AbortController().signal)
  let settled = false
  group.spawn(async (signal) => {
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve, { once: true })
    })
    settled = true
  })
  group.spawn(async () => {
    throw new Error('first')
  })
  await assert.rejects(group.finished(), /first/)
  assert.ok(settled)
})

test('a group whose parent aborted rejects with the reason', async () => {
  const parent = new AbortController()
  const group = createTaskGroup(parent.signal)
  group.spawn(async () => {})
  parent.abort(new Error('stop'))
  await assert.rejects(group.finished(), /stop/)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forEachConcurrent } from '../../../src/lib/concurrent.ts'
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

test('a task that leaves its place lets the next one in, and stands in line to come back', async () => {
  const elsewhere = Promise.withResolvers<void>()
  const order: string[] = []
  const active = { now: 0, most: 0 }
  const work = async (name: string) => {
    active.most = Math.max(active.most, ++active.now)
    await new Promise(setImmediate)
    order.push(name)
    active.now -= 1
  }
  const options = { limit: 1, signal: new AbortController().signal }
  await forEachConcurrent(['a', 'b', 'c'], options, async (name, _signal, { leave }) => {
    if (name === 'a') await leave(() => elsewhere.promise)
    if (name === 'c') elsewhere.resolve()
    await work(name)
  })
  assert.deepEqual(order, ['b', 'c', 'a'])
  assert.equal(active.most, 1)
})

test('an abort ends those who wait elsewhere and those who stand in line to come back', async () => {
  const controller = new AbortController()
  const limiter = createLimiter(1)
  const away = limiter.run(async (leave) => leave(async () => undefined), controller.signal)
  const gate = Promise.withResolvers<void>()
  const inside = limiter.run(() => gate.promise)
  const failed = assert.rejects(away, /stop/)
  controller.abort(new Error('stop'))
  await failed
  gate.resolve()
  await inside
  assert.equal(limiter.active, 0)
})

test('a place is spare only where no item wants it', async () => {
  const options = { limit: 2, signal: new AbortController().signal }
  let begun = 0
  await forEachConcurrent(['a', 'b', 'c'], options, async (name, _signal, { spare }) => {
    begun += 1
    if (name !== 'a') return assert.equal(spare(), undefined)
    let place = spare()
    for (; !place; place = spare()) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(begun, 3, 'every item has begun')
    assert.equal(spare(), undefined, 'there was one')
    place[Symbol.dispose]()
  })
})

test('who has a spare place is told when somebody stands in line for it', async () => {
  const limiter = createLimiter(1)
  const place = limiter.spare()
  assert.equal(place?.wanted, false)
  const waiting = limiter.run(async () => 'ran')
  assert.equal(place?.wanted, true)
  place?.[Symbol.dispose]()
  assert.equal(await waiting, 'ran')
  assert.equal(limiter.active, 0)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFairLimiter } from '../../../../src/lib/queues/fair-limiter.ts'

/** Tasks by name that end when they are told to, and which have begun, in order. */
function bench(limits: { all: number; perKey: number; waitingPerKey?: number }) {
  const tooMany = (key: string, waiting: number) => new Error(`${key} has ${waiting}`)
  const limiter = createFairLimiter({ ...limits, tooMany })
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const run = (name: string, signal?: AbortSignal) =>
    limiter.run(
      name[0] ?? '',
      () => {
        begun.push(name)
        return new Promise<string>((resolve) => ends.set(name, () => resolve(name)))
      },
      signal,
    )
  const end = async (name: string) => {
    ends.get(name)?.()
    await new Promise(setImmediate)
  }
  return { limiter, begun, run, end }
}

test('one key has no more than its share, though the rest is free', async () => {
  const { limiter, begun, run, end } = bench({ all: 3, perKey: 2 })
  const all = ['a1', 'a2', 'a3', 'b1', 'b2'].map((name) => run(name))
  assert.deepEqual(begun, ['a1', 'a2', 'b1'])
  assert.deepEqual([limiter.active, limiter.waiting], [3, 2])
  for (const name of ['a1', 'a2', 'b1', 'a3', 'b2']) await end(name)
  assert.deepEqual(await Promise.all(all), ['a1', 'a2', 'a3', 'b1', 'b2'])
  assert.deepEqual([limiter.active, limiter.waiting], [0, 0])
})

test('keys take turns, however many wait of one', async () => {
  const { begun, run, end } = bench({ all: 1, perKey: 1 })
  for (const name of ['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2']) void run(name)
  for (const name of ['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']) await end(name)
  assert.deepEqual(begun, ['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4'])
})

test('who waits while its key has its share keeps no other from a free place', async () => {
  const { begun, run, end } = bench({ all: 2, perKey: 1 })
  for (const name of ['a1', 'a2', 'b1', 'c1']) void run(name)
  await end('b1')
  assert.deepEqual(begun, ['a1', 'b1', 'c1'])
  await end('a1')
  assert.deepEqual(begun, ['a1', 'b1', 'c1', 'a2'])
})

test('more than may wait of one key are refused at once, and others may', async () => {
  const { limiter, run } = bench({ all: 1, perKey: 1, waitingPerKey: 2 })
  for (const name of ['a1', 'a2', 'a3', 'b1']) void run(name)
  await assert.rejects(run('a4'), /^Error: a has 2$/)
  assert.equal(limiter.waiting, 3)
})

test('who gives up leaves the line and its room in it; who had given up never comes', async () => {
  const { limiter, begun, run, end } = bench({ all: 1, perKey: 1, waitingPerKey: 1 })
  const stop = new AbortController()
  void run('a1')
  const second = run('a2', stop.signal)
  stop.abort(new Error('gone'))
  await assert.rejects(second, /gone/)
  await assert.rejects(run('b1', stop.signal), /gone/)
  assert.deepEqual([limiter.active, limiter.waiting], [1, 0])
  void run('a3')
  await end('a1')
  assert.deepEqual(begun, ['a1', 'a3'])
})

test('a task that throws gives its place back', async () => {
  const { limiter, begun, run } = bench({ all: 1, perKey: 1 })
  const failed = limiter.run('a', async () => Promise.reject(new Error('broken')))
  void run('b1')
  await assert.rejects(failed, /broken/)
  await new Promise(setImmediate)
  assert.deepEqual([begun, limiter.active], [['b1'], 1])
})

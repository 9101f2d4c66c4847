import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { AppError } from '../../../../src/lib/errors.ts'
import { Thread, type ThreadOptions } from '../../../../src/lib/loop/thread.ts'

/** The threads that this process starts from here on; Node tells of each. */
function startedThreads(t: TestContext): Worker[] {
  const started: Worker[] = []
  const take = (message: unknown) => void started.push((message as { worker: Worker }).worker)
  subscribe('worker_threads', take)
  t.after(() => unsubscribe('worker_threads', take))
  return started
}

function thread(options: Partial<ThreadOptions> = {}): Thread<string, string> {
  return new Thread({
    file: new URL('./asked.ts', import.meta.url),
    name: 'the thread of the test',
    memoryMib: 64,
    timeMs: 60_000,
    idleMs: 60_000,
    tooCostly: (why) => new AppError('PACKAGE_TOO_LARGE', `it ${why}`),
    ...options,
  })
}

test('one thread, started when it is first asked, answers in turn', async (t) => {
  const started = startedThreads(t)
  const asked = thread()
  assert.equal(started.length, 0)
  assert.deepEqual(await Promise.all([asked.ask('say', {}), asked.ask('say', {})]), ['said', 'said'])
  assert.equal(await asked.ask('say', {}), 'said')
  assert.equal(started.length, 1)
})

test('it knows neither the environment nor the flags of the process', async () => {
  assert.equal(await thread().ask('env', {}), '[{},[]]')
})

test('an error comes out as it was thrown: class, code, message, facts, cause', async () => {
  const error = await thread()
    .ask('refuse', {})
    .catch((thrown: unknown) => thrown)
  assert.ok(error instanceof AppError)
  const { code, message, hint, details, retry } = error
  assert.deepEqual(
    { code, message, hint, details, retry },
    {
      code: 'PACKAGE_INVALID',
      message: 'a "\\u001b" in it',
      hint: 'Do this.',
      details: { path: 'zarf.yaml', found: ['a'] },
      retry: 'permanent',
    },
  )
  assert.match(String((error.cause as Error).stack), /RangeError: deep inside/)
})

test('a mistake in it is INTERNAL, with where it was made', async () => {
  await assert.rejects(thread().ask('fail', {}), (error: AppError) => {
    assert.deepEqual([error.code, error.message], ['INTERNAL', 'a mistake'])
    return /asked\.ts/.test((error.cause as Error).stack ?? '')
  })
})

test('a thread that ends is an error that says so, and the next question has another', async (t) => {
  const started = startedThreads(t)
  const asked = thread()
  const [lost, next] = [asked.ask('end', {}), asked.ask('say', {})]
  await assert.rejects(lost, { code: 'INTERNAL', retry: 'transient', message: /the thread of the test was lost: .*3/ })
  assert.equal(await next, 'said')
  assert.equal(started.length, 2)
})

test('a question that takes too long is given up, and its thread ended', async (t) => {
  const started = startedThreads(t)
  const asked = thread({ timeMs: 1 })
  await assert.rejects(asked.ask('spin', {}), { code: 'PACKAGE_TOO_LARGE', message: 'it takes longer than 0.001 s' })
  const [worker] = started
  if (worker && worker.threadId !== -1) await once(worker, 'exit')
})

test('an abort gives up the question that it belongs to, wherever that stands', async (t) => {
  const started = startedThreads(t)
  const asked = thread()
  const [first, second] = [new AbortController(), new AbortController()]
  const spinning = asked.ask('spin', { signal: first.signal })
  const waiting = asked.ask('spin', { signal: second.signal })
  const last = asked.ask('say', {})
  second.abort(new AppError('JOB_PAUSED', 'paused'))
  await assert.rejects(waiting, { code: 'JOB_PAUSED' })
  first.abort(new AppError('JOB_CANCELED', 'canceled'))
  await assert.rejects(spinning, { code: 'JOB_CANCELED' })
  assert.equal(await last, 'said')
  assert.equal(started.length, 2)
  await assert.rejects(asked.ask('say', { signal: first.signal }), { code: 'JOB_CANCELED' })
})

test('it ends when nobody asked for a while', async (t) => {
  const started = startedThreads(t)
  const asked = thread({ idleMs: 1 })
  await asked.ask('say', {})
  const [worker] = started
  assert.ok(worker)
  // Nothing but this keeps the process: the thread does not.
  const keep = setInterval(() => undefined, 1000)
  if (worker.threadId !== -1) await once(worker, 'exit')
  clearInterval(keep)
  assert.equal(await asked.ask('say', {}), 'said')
  assert.equal(started.length, 2)
})

test('a thread that cannot be started is told to each who asks, and holds nobody up', async () => {
  const asked = thread({ file: new URL('http://127.0.0.1/asked.ts') })
  const both = await Promise.allSettled([asked.ask('say', {}), asked.ask('say', {})])
  for (const outcome of both) {
    assert.ok(outcome.status === 'rejected')
    assert.match((outcome.reason as Error).message, /^the thread of the test was lost: /)
  }
})

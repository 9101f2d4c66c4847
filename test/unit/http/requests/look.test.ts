import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { FastifyRequest } from 'fastify'
import { createLooks, LOOK_LIMITS, LOOK_WITHIN_MS, lookWithin } from '../../../../src/http/requests/look.ts'
import { AppError } from '../../../../src/lib/errors.ts'

const looks = createLooks(LOOK_LIMITS, true)
const tooLate = () => new AppError('PACKAGE_TIMEOUT', 'too late')

test('a look ends after its time, with its caller, what let that in, and layerd; what it found goes on', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const [caller, closing, access] = [new AbortController(), new AbortController(), new AbortController()]
  const request = { caller: { name: 'ann' }, signal: caller.signal, accessEnded: () => access.signal } as FastifyRequest
  const look = (by = request) =>
    lookWithin(by, { looks, closing: closing.signal, tooLate }, async (signal) => {
      if (!signal.aborted) await once(signal, 'abort')
      throw signal.reason
    })
  const late = assert.rejects(look(), { code: 'PACKAGE_TIMEOUT' })
  t.mock.timers.tick(LOOK_WITHIN_MS)
  await late
  const found = await lookWithin(request, { looks, closing: closing.signal, tooLate }, async (signal) => signal)
  t.mock.timers.tick(LOOK_WITHIN_MS)
  assert.equal(found.aborted, false, 'a file that is being sent has no such limit')
  const gone = assert.rejects(look(), /gone/)
  caller.abort(new Error('gone'))
  await gone
  assert.equal(found.aborted, true)
  const other = { ...request, signal: new AbortController().signal } as FastifyRequest
  const ended = assert.rejects(look(other), /taken away/)
  access.abort(new Error('taken away'))
  await ended
})

test('a look that had no turn ends after the same time and says so; others have theirs meanwhile', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const few = createLooks({ all: 2, perPrincipal: 1, waiting: 1 }, true)
  const { signal } = new AbortController()
  const look = (name: string, task: (signal: AbortSignal) => Promise<unknown>) =>
    lookWithin(
      { caller: { name }, signal, accessEnded: () => signal } as unknown as FastifyRequest,
      { looks: few, closing: signal, tooLate },
      task,
    )
  const never = async (ending: AbortSignal) => {
    await once(ending, 'abort')
    throw ending.reason
  }
  const late = assert.rejects(look('ann', never), { code: 'PACKAGE_TIMEOUT' })
  const waiting = assert.rejects(look('ann', never), { code: 'LOOKS_TOO_MANY', retryAfterMs: 5000 })
  await assert.rejects(look('ann', never), { code: 'LOOKS_TOO_MANY', retryAfterMs: 5000 })
  assert.equal(await look('bob', async () => 'seen'), 'seen')
  assert.deepEqual([few.active, few.waiting], [1, 1])
  t.mock.timers.tick(LOOK_WITHIN_MS)
  await Promise.all([late, waiting])
  assert.deepEqual([few.active, few.waiting], [0, 0])
})

test('where nobody has to be known all looks may be of one', async () => {
  const open = createLooks({ all: 2, perPrincipal: 1, waiting: 1 }, false)
  const gate = Promise.withResolvers<void>()
  const held = [1, 2].map(() => open.run('anonymous', () => gate.promise))
  assert.deepEqual([open.active, open.waiting], [2, 0])
  gate.resolve()
  await Promise.all(held)
})

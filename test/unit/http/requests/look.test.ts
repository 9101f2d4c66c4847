import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { FastifyRequest } from 'fastify'
import { LOOK_WITHIN_MS, lookWithin } from '../../../../src/http/requests/look.ts'
import { AppError } from '../../../../src/lib/errors.ts'

const tooLate = () => new AppError('PACKAGE_TIMEOUT', 'too late')

test('a look ends after its time, with its caller, what let that in, and layerd; what it found goes on', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const [caller, closing, access] = [new AbortController(), new AbortController(), new AbortController()]
  const request = { signal: caller.signal, accessEnded: () => access.signal } as FastifyRequest
  const look = (by = request) =>
    lookWithin(by, { closing: closing.signal, tooLate }, async (signal) => {
      if (!signal.aborted) await once(signal, 'abort')
      throw signal.reason
    })
  const late = assert.rejects(look(), { code: 'PACKAGE_TIMEOUT' })
  t.mock.timers.tick(LOOK_WITHIN_MS)
  await late
  const found = await lookWithin(request, { closing: closing.signal, tooLate }, async (signal) => signal)
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

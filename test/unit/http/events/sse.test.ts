import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobEvent } from '../../../../src/jobs/model/definitions.ts'
import { Frame, messageOf, ndjsonFraming, sseFraming } from '../../../../src/http/events/sse.ts'

const event: JobEvent = {
  type: 'log',
  jobId: 'j',
  seq: 3,
  time: '2026-01-02T03:04:05.000Z',
  attempt: 1,
  level: 'info',
  message: 'two\nlines\r\nid: 9',
}

test('an SSE event has an id, a name and its data in one line', () => {
  const text = sseFraming.message(messageOf({ id: '7-1', event }))
  assert.equal(text, `id: 7-1\nevent: log\ndata: ${JSON.stringify(event)}\n\n`)
  // Nothing of the content can begin a line of its own, or end the event.
  assert.equal(text.trimEnd().split(/\r\n|\r|\n/).length, 3)
})

test('an event without an id leaves the Last-Event-ID alone', () => {
  assert.equal(sseFraming.message(messageOf({ id: '', event })), `event: log\ndata: ${JSON.stringify(event)}\n\n`)
})

test('a heartbeat is a comment and a ping without an id', () => {
  const { level: _level, message: _message, ...base } = event
  const ping: JobEvent = { ...base, type: 'ping' }
  assert.equal(
    sseFraming.heartbeat(messageOf({ id: '', event: ping })),
    `: still here\nevent: ping\ndata: ${JSON.stringify(ping)}\n\n`,
  )
})

test('the first and the last bytes tell when to come back', () => {
  assert.equal(sseFraming.opening(2345), 'retry: 2345\n\n')
  assert.equal(sseFraming.goodbye(6789), 'retry: 6789\n\n')
})

test('NDJSON has one object a line, with the id in it', () => {
  const text = ndjsonFraming.message(messageOf({ id: '7-1', event }))
  assert.deepEqual(JSON.parse(text), { id: '7-1', ...event })
  assert.equal(text.indexOf('\n'), text.length - 1)
  assert.equal(ndjsonFraming.opening(1) + ndjsonFraming.goodbye(1), '')
})

test('a frame is rendered once for each format', () => {
  const frame = new Frame({ id: '7-1', event })
  assert.equal(frame.bytes(sseFraming), frame.bytes(sseFraming))
  assert.notEqual(frame.bytes(sseFraming), frame.bytes(ndjsonFraming))
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { next, type UploadEvent, type UploadSession } from '../../../../../src/oci/push/sessions/upload-session.ts'

const SIZE = 100
const a = new URL('http://registry.test/v2/r/blobs/uploads/1?state=a')
const b = new URL('http://registry.test/v2/r/blobs/uploads/1?state=b')
const run = (events: readonly UploadEvent[], from: UploadSession = { at: 'idle' }) =>
  events.reduce((session, event) => next(session, event, SIZE), from)

test('an upload without faults opens, is accepted, completes and is committed', () => {
  const opened = run([{ type: 'opened', location: a }])
  assert.deepEqual(opened, { at: 'open', location: a, offset: 0, sent: 0 })
  const accepted = run([{ type: 'accepted', location: b, offset: SIZE }], opened)
  assert.deepEqual(accepted, { at: 'open', location: b, offset: SIZE, sent: SIZE })
  const committing = run([{ type: 'complete' }], accepted)
  assert.deepEqual(committing, { at: 'committing', location: b, inDoubt: false })
  assert.deepEqual(run([{ type: 'committed' }], committing), { at: 'done' })
})

test('a cut leaves in doubt what the registry holds until it says so', () => {
  const cut = run([
    { type: 'opened', location: a },
    { type: 'cut', sent: 60 },
  ])
  assert.deepEqual(cut, { at: 'open', location: a, offset: 0, sent: 60 })
  const stands = run([{ type: 'stands', location: b, offset: 40 }], cut)
  assert.deepEqual(stands, { at: 'open', location: b, offset: 40, sent: 40 })
})

test('a registry that sends no new Location keeps the old one', () => {
  const session = run([
    { type: 'opened', location: a },
    { type: 'cut', sent: 60 },
    { type: 'stands', location: undefined, offset: 60 },
  ])
  assert.deepEqual(session, { at: 'open', location: a, offset: 60, sent: 60 })
})

test('a registry that says more than was sent (Quay counts one too many) makes the upload start again', () => {
  const session = run([
    { type: 'opened', location: a },
    { type: 'cut', sent: 60 },
    { type: 'stands', location: b, offset: 61 },
  ])
  assert.equal(session.at, 'lost')
  assert.deepEqual(run([{ type: 'restart' }], session), { at: 'idle' })
})

test('"0-0" may mean none or one byte, so the upload starts again', () => {
  const session = run([
    { type: 'opened', location: a },
    { type: 'cut', sent: 60 },
    { type: 'stands', location: b, offset: undefined },
  ])
  assert.equal(session.at, 'lost')
})

test('of an earlier process everything counts as sent', () => {
  const restored = run([{ type: 'restored', location: a, offset: 10 }])
  assert.deepEqual(restored, { at: 'open', location: a, offset: 10, sent: SIZE })
  const all = run([{ type: 'stands', location: b, offset: SIZE }], restored)
  assert.deepEqual(all, { at: 'committing', location: b, inDoubt: false })
})

test('one of an earlier process that lacks nothing is committed, be it that this has happened', () => {
  const restored = run([{ type: 'restored', location: a, offset: SIZE }])
  assert.deepEqual(restored, { at: 'committing', location: a, inDoubt: true })
})

test('a commit without an answer is in doubt, and the registry may lack bytes after all', () => {
  const committing: UploadSession = { at: 'committing', location: a, inDoubt: false }
  const doubt = run([{ type: 'cut', sent: SIZE }], committing)
  assert.deepEqual(doubt, { at: 'committing', location: a, inDoubt: true })
  assert.deepEqual(run([{ type: 'stands', location: b, offset: 80 }], doubt), {
    at: 'open',
    location: b,
    offset: 80,
    sent: 80,
  })
  assert.deepEqual(run([{ type: 'gone', reason: 'unknown' }, { type: 'committed' }], doubt), { at: 'done' })
})

test('events that cannot happen are refused', () => {
  assert.throws(() => run([{ type: 'complete' }]), { code: 'INTERNAL' })
  assert.throws(() => run([{ type: 'opened', location: a }], { at: 'done' }), { code: 'INTERNAL' })
  assert.throws(() => run([{ type: 'restart' }], { at: 'open', location: a, offset: 0, sent: 0 }), { code: 'INTERNAL' })
})

test('whatever happens, the offset never passes what was sent, and that never the size', () => {
  const offset = fc.integer({ min: 0, max: SIZE })
  const event: fc.Arbitrary<UploadEvent> = fc.oneof(
    fc.constant<UploadEvent>({ type: 'opened', location: a }),
    offset.map((at): UploadEvent => ({ type: 'restored', location: a, offset: at })),
    offset.map((at): UploadEvent => ({ type: 'accepted', location: b, offset: at })),
    offset.map((sent): UploadEvent => ({ type: 'cut', sent })),
    fc.option(offset, { nil: undefined }).map((at): UploadEvent => ({ type: 'stands', location: b, offset: at })),
    fc.constant<UploadEvent>({ type: 'complete' }),
    fc.constant<UploadEvent>({ type: 'committed' }),
    fc.constant<UploadEvent>({ type: 'gone', reason: 'gone' }),
    fc.constant<UploadEvent>({ type: 'restart' }),
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 12 }), (events) => {
      let session: UploadSession = { at: 'idle' }
      for (const each of events) {
        try {
          session = next(session, each, SIZE)
        } catch {
          continue
        }
        if (session.at !== 'open') continue
        assert.ok(session.offset <= session.sent && session.sent <= SIZE)
      }
    }),
  )
})

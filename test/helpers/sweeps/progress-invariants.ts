import assert from 'node:assert/strict'
import type { JobEvent, Progress } from '../../../src/jobs/model/definitions.ts'

/** Holds a job's whole recorded stream against what api.md promises of progress and of events. */
export function assertStreamInvariants(events: readonly JobEvent[]): void {
  let last: Progress | undefined
  let plans = 0
  const ends = events.filter((event) => event.type === 'end')
  events.forEach((event, at) => assert.equal(event.seq, at + 1, 'seq has no gaps'))
  for (const event of events) {
    if (event.type === 'plan') plans += 1
    const progress = progressOf(event)
    if (!progress) continue
    assertProgress(progress)
    if (last) assertForward(last, progress)
    last = progress
  }
  assert.ok(plans <= 1, 'the plan is told once')
  if (ends.length === 0) return
  const final = ends.at(-1)
  assert.equal(events.at(-1), final, 'end is the last event')
  if (final?.type !== 'end' || final.job.state !== 'succeeded') return
  assert.equal(plans, 1, 'a job that succeeds had a plan')
  assert.equal(final.job.progress.bytesDone, final.job.progress.bytesTotal, 'all bytes are done at success')
  assert.equal(final.job.progress.layers.done, final.job.progress.layers.total, 'all layers are done at success')
}

export function assertProgress(progress: Progress): void {
  const { bytesSkipped, bytesMounted, bytesResumed, bytesSent, bytesDone, bytesTotal, layers } = progress
  assert.equal(bytesDone, bytesSkipped + bytesMounted + bytesResumed + bytesSent, 'bytesDone is the sum of its parts')
  if (bytesTotal !== null) assert.ok(bytesDone <= bytesTotal, `${bytesDone} done of ${bytesTotal}`)
  if (layers.total !== null) assert.ok(layers.done <= layers.total, `${layers.done} layers of ${layers.total}`)
}

function assertForward(before: Progress, after: Progress): void {
  assert.ok(after.bytesDone >= before.bytesDone, `bytesDone ran back from ${before.bytesDone} to ${after.bytesDone}`)
  assert.ok(after.wireBytes >= before.wireBytes, 'wireBytes ran back')
  assert.ok(after.layers.done >= before.layers.done, 'layers ran back')
  if (before.bytesTotal !== null) assert.equal(after.bytesTotal, before.bytesTotal, 'the plan changed')
}

function progressOf(event: JobEvent): Progress | undefined {
  if ('progress' in event) return event.progress
  return 'job' in event ? event.job.progress : undefined
}

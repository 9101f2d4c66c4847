import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FleetEvent, Job } from '../../../src/cli/client/contract.ts'
import { terminalOf } from '../../../src/cli/client/terminal.ts'
import { FleetList, fleetLines } from '../../../src/cli/view/fleet-renderers.ts'
import { pipeTerminal } from '../../helpers/processes/cli-program.ts'

const time = '2026-01-02T03:04:05.000Z'
const jobOf = (id: string, revision: number, changes: Partial<Job> = {}): Job =>
  ({
    id,
    revision,
    kind: 'publish',
    state: 'running',
    done: false,
    source: 'oci://r.example/nemo:1.2.0',
    destination: null,
    reason: null,
    error: null,
    progress: { phase: 'transferring', bytesDone: 5, bytesTotal: 10, bytesPerSecond: 3, layers: { total: 2 } },
    ...changes,
  }) as Job
const change = (type: 'created' | 'state' | 'end', job: Job, matches = true): FleetEvent => ({
  type,
  time,
  jobId: job.id,
  revision: job.revision,
  matches,
  job,
})

test('the list that a stream keeps', () => {
  const list = new FleetList()
  const states = () => list.jobs.map(({ id, state, revision }) => `${id} ${state} ${revision}`)
  list.apply({ type: 'snapshot', time, jobs: [jobOf('a', 1), jobOf('b', 1)] })
  list.apply(change('end', jobOf('b', 4, { state: 'succeeded', done: true })))
  list.apply(change('state', jobOf('b', 2)))
  list.apply(change('created', jobOf('c', 1)))
  assert.deepEqual(states(), ['c running 1', 'a running 1', 'b succeeded 4'])
  list.apply(change('state', jobOf('c', 2, { state: 'paused' }), false))
  list.apply({ type: 'removed', time, jobId: 'a' })
  list.apply({ type: 'ping', time })
  assert.deepEqual(states(), ['b succeeded 4'])
  list.apply({ type: 'reset', time })
  assert.deepEqual(states(), [])
})

test('figures that move go into the progress, without what they leave out; older and unknown ones do nothing', () => {
  const list = new FleetList()
  list.apply({ type: 'snapshot', time, jobs: [jobOf('a', 3)] })
  const moved = (jobId: string, revision: number, bytesDone: number): FleetEvent => ({
    type: 'progress',
    time,
    moved: [{ jobId, revision, progress: { phase: 'transferring', bytesDone, bytesTotal: 10 } }],
  })
  list.apply(moved('a', 2, 1))
  assert.equal(list.jobs[0]?.progress.bytesDone, 5)
  list.apply(moved('a', 4, 7))
  list.apply(moved('z', 4, 7))
  assert.equal(list.jobs.length, 1)
  const { bytesDone, bytesPerSecond, layers } = list.jobs[0]?.progress ?? {}
  assert.deepEqual([bytesDone, bytesPerSecond, layers?.total], [7, null, 2])
})

test('the list is bounded: what ended longest ago goes first', () => {
  const list = new FleetList()
  list.apply(change('created', jobOf('a', 1)))
  for (let at = 1000; at < 2100; at += 1) list.apply(change('end', jobOf(`j${at}`, 1, { state: 'failed', done: true })))
  const { jobs } = list
  assert.deepEqual([jobs.length, jobs[0]?.id, jobs[1]?.id, jobs.at(-1)?.id], [1000, 'a', 'j2099', 'j1101'])
})

test('a line is said once for what it shows', () => {
  const { terminal, out } = pipeTerminal()
  const lines = fleetLines(terminalOf(terminal), false)
  lines.event(change('created', jobOf('a', 1, { state: 'queued' })))
  lines.event(change('state', jobOf('a', 2)))
  lines.event(change('state', jobOf('a', 3)))
  lines.event({ type: 'removed', time, jobId: 'a' })
  const said = out().trimEnd().split('\n')
  assert.deepEqual(
    said.map((line) => line.split(' ').slice(1, 3).join(' ')),
    ['a queued', 'a running', 'a removed'],
  )
})

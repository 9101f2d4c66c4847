import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fold } from '../../../src/cli/view/format.ts'
import { runsText } from '../../../src/cli/view/runs-text.ts'
import type { JobRun } from '../../../src/jobs/model/job-run.ts'

const MIB = 1024 * 1024
const PROBLEM = {
  type: '/docs/errors#REGISTRY_UNREACHABLE',
  title: 'The registry cannot be reached',
  status: 502,
  detail: 'registry.example refused the connection',
  code: 'REGISTRY_UNREACHABLE',
  retryable: true,
}

const at = (seconds: number): string => new Date(Date.parse('2026-03-01T12:00:00Z') + seconds * 1000).toISOString()

function run(number: number, from: number, changes: Partial<JobRun> = {}): JobRun {
  return {
    run: number,
    attempt: number,
    worker: { id: 'host-a-w1', host: 'host-a', pid: 4711 },
    began: { cause: 'first', by: null, waitedSince: at(from) },
    ended: null,
    startedAt: at(from),
    endedAt: null,
    bytesMoved: 0,
    layersDone: 0,
    looks: 1,
    ...changes,
  }
}

function ended(changes: Partial<NonNullable<JobRun['ended']>>): NonNullable<JobRun['ended']> {
  return { outcome: 'failed', state: 'retrying', by: null, reason: null, problem: null, retryAt: null, ...changes }
}

test('runs are a time line, and what is left out of it is said where it was', () => {
  const items = [
    run(1, 0, {
      endedAt: at(30),
      bytesMoved: 12 * MIB,
      layersDone: 3,
      ended: ended({ problem: PROBLEM, retryAt: at(90) }),
    }),
    run(7, 200, {
      began: { cause: 'wait', by: null, waitedSince: at(100) },
      endedAt: at(3800),
      looks: 700,
      ended: ended({ outcome: 'waiting', state: 'queued', reason: 'the store has no room', retryAt: at(3805) }),
    }),
    run(8, 4000, {
      began: { cause: 'retry', by: 'ann', waitedSince: at(3999.5) },
      endedAt: at(4010),
      layersDone: 1,
      ended: ended({ outcome: 'lost', state: 'canceled', by: 'eve' }),
    }),
    run(9, 4020, { began: { cause: null, by: null, waitedSince: null } }),
  ]
  const text = runsText({ items, leftOut: 5 }, Date.parse(at(4025)))
  assert.deepEqual(text.split('\n'), [
    '2026-03-01T12:00:00.000Z  run 1, try 1: the first',
    '  on host-a, process 4711 (host-a-w1)',
    '  failed: 30 s, 12.0 MiB, 3 layers done',
    '    registry.example refused the connection (REGISTRY_UNREACHABLE); again at 12:01:30 UTC',
    '... 5 runs are not kept ...',
    '2026-03-01T12:03:20.000Z  run 7, try 7: again after a wait, 1 min 40 s later',
    '  on host-a, process 4711 (host-a-w1)',
    '  waited: 1 h 0 min, looked 700 times',
    '    the store has no room; again at 13:03:25 UTC',
    '2026-03-01T13:06:40.000Z  run 8, try 8: retried by ann',
    '  on host-a, process 4711 (host-a-w1)',
    '  its worker was lost: 10 s, 1 layer done',
    '    the job is canceled, as eve asked',
    '2026-03-01T13:07:00.000Z  run 9, try 9: again',
    '  on host-a, process 4711 (host-a-w1)',
    '  under way: 5 s',
    '',
  ])
  for (const line of fold(text, 80).split('\n')) assert.ok(line.length <= 80, line)
  assert.equal(runsText({ items: [], leftOut: 0 }, 0), 'no run has begun yet\n')
  assert.equal(runsText({ items: [], leftOut: 1 }, 0), 'its 1 run is from before this was kept\n')
})

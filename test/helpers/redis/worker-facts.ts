import type { WorkerFacts, WorkerWord } from '../../../src/jobs/system/worker-records.ts'

/** What a worker would say of itself. */
export function factsOf(changes: Partial<WorkerFacts> = {}): WorkerFacts {
  return {
    name: 'rack',
    host: 'host-1',
    pid: 4711,
    version: '1.2.3',
    since: Date.parse('2026-03-01T12:00:00Z'),
    jobs: [],
    places: 4,
    memory: { rssBytes: 100, heapBytes: 50 },
    cpu: 0.25,
    bytesPerSecond: { in: 1, out: 2 },
    ending: false,
    ...changes,
  }
}

export function wordOf(changes: Partial<WorkerFacts> = {}, more: Partial<WorkerWord> = {}): WorkerWord {
  const facts = factsOf(changes)
  return { places: facts.places, facts, ...more }
}

import { Counter, Gauge, Histogram } from 'prom-client'
import type { Job, Progress } from '../jobs/model/definitions.ts'
import type { CallFacts } from '../oci/errors/errors.ts'
import type { Hooks } from '../oci/request/hooks.ts'
import type { RunObserver, RunWatch } from '../worker/run-observer.ts'
import { createHostLabels } from './hosts.ts'
import type { ProcessMetrics } from './process-metrics.ts'
import { type SessionCounter, sessionCounter } from './session-metrics.ts'

/** From a small file on the same machine to 10 GB over a slow line, in seconds. */
const TRANSFER_SECONDS = [0.05, 0.25, 1, 5, 15, 60, 300, 1800, 7200]
const REQUEST_SECONDS = [0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300]

/** The parts of progress that bytesDone is made of, and what they are called. */
const OUTCOMES = [
  ['bytesSent', 'sent'],
  ['bytesSkipped', 'skipped'],
  ['bytesMounted', 'mounted'],
  ['bytesResumed', 'resumed'],
] as const

/** What a worker does, counted. */
export interface WorkerMetrics {
  readonly observer: RunObserver
  /** For the registry connections of the process. */
  readonly hooks: Hooks
  /** For the upload sessions of the process. */
  readonly countSessions: SessionCounter
}

/** Reads from an answer how many requests its registry lets in still. */
export type RemainingReader = (header: (name: string) => string | undefined) => { remaining: number } | undefined

export function createWorkerMetrics(
  { registry }: ProcessMetrics,
  remainingOf: RemainingReader = () => undefined,
): WorkerMetrics {
  const hostLabel = createHostLabels()
  const counted = runMetrics([registry])
  return {
    observer: { began: (job, host) => watchRun(job, hostLabel(host), counted) },
    hooks: requestHooks([registry], { hostLabel, remainingOf }),
    countSessions: sessionCounter([registry], hostLabel),
  }
}

type Registers = Array<ProcessMetrics['registry']>
type RunMetrics = ReturnType<typeof runMetrics>

function runMetrics(registers: Registers) {
  return {
    bytes: new Counter({
      name: 'layerd_bytes_total',
      help: 'Bytes of layers and configs that jobs moved or found there, by registry, direction (push, pull) and outcome.',
      labelNames: ['registry', 'direction', 'outcome'],
      registers,
    }),
    wire: new Counter({
      name: 'layerd_wire_bytes_total',
      help: 'Bytes moved, those moved again included.',
      labelNames: ['registry', 'direction'],
      registers,
    }),
    transfers: new Histogram({
      name: 'layerd_transfer_duration_seconds',
      help: 'From the first byte of a layer until it is whole.',
      labelNames: ['registry', 'direction'],
      buckets: TRANSFER_SECONDS,
      registers,
    }),
    retries: new Counter({
      name: 'layerd_retries_total',
      help: 'Tries again of layers (transfer), requests (request) and jobs (job), by the code of the error.',
      labelNames: ['registry', 'what', 'code'],
      registers,
    }),
    runs: new Counter({
      name: 'layerd_runs_total',
      help: 'Runs of jobs that ended, by the state they left the job in.',
      labelNames: ['kind', 'registry', 'state'],
      registers,
    }),
    running: new Gauge({
      name: 'layerd_running_jobs',
      help: 'Jobs that run in this worker.',
      labelNames: ['kind'],
      registers,
      aggregator: 'sum',
    }),
  }
}

function watchRun({ kind, progress: begun }: Job, registry: string, metrics: RunMetrics): RunWatch {
  const { bytes, wire, transfers, retries, runs, running } = metrics
  const place = { registry, direction: kind === 'pull' || kind === 'verify' || kind === 'apply' ? 'pull' : 'push' }
  const started = new Map<string, number>()
  let before: Progress = begun
  running.inc({ kind })
  return {
    event(event) {
      if (event.type === 'started' && !started.has(event.digest)) started.set(event.digest, performance.now())
      if (event.type === 'complete' || event.type === 'failed') {
        const start = started.get(event.digest)
        started.delete(event.digest)
        if (start !== undefined && event.type === 'complete')
          transfers.observe(place, (performance.now() - start) / 1000)
      }
      if (event.type === 'retrying') retries.inc({ registry, what: 'transfer', code: event.error.code })
      // The first is no retry: it waits until its registry takes more requests.
      if (event.type === 'waiting' && event.wait && event.wait.attempt > 1) {
        retries.inc({ registry, what: 'request', code: event.wait.error.code })
      }
    },
    progress(now) {
      for (const [name, outcome] of OUTCOMES) bytes.inc({ ...place, outcome }, Math.max(0, now[name] - before[name]))
      wire.inc(place, Math.max(0, now.wireBytes - before.wireBytes))
      before = now
    },
    ended(state, code) {
      running.dec({ kind })
      runs.inc({ kind, registry, state })
      if (state === 'retrying') retries.inc({ registry, what: 'job', code: code ?? 'INTERNAL' })
    },
  }
}

function requestHooks(
  registers: Registers,
  { hostLabel, remainingOf }: { hostLabel: (host: string) => string; remainingOf: RemainingReader },
): Hooks {
  const durations = new Histogram({
    name: 'layerd_registry_request_duration_seconds',
    help: 'From the head of a request to a registry until the head of its answer, its body included.',
    labelNames: ['registry', 'method', 'status'],
    buckets: REQUEST_SECONDS,
    registers,
  })
  const remaining = new Gauge({
    name: 'layerd_registry_ratelimit_remaining',
    help: 'Requests (Docker Hub: pulls) that a registry said it lets in still, where it says so: the newest answer of each worker, and of several the lowest.',
    labelNames: ['registry'],
    registers,
    aggregator: 'min',
  })
  const sent = new WeakMap<CallFacts, number>()
  return {
    beforeSend: (facts) => void sent.set(facts, performance.now()),
    onAnswer(facts, status, { header }) {
      const left = remainingOf(header)
      if (left) remaining.set({ registry: hostLabel(facts.registry) }, left.remaining)
      const start = sent.get(facts)
      if (start === undefined) return
      const labels = {
        registry: hostLabel(facts.registry),
        method: facts.method,
        status: `${Math.floor(status / 100)}xx`,
      }
      durations.observe(labels, (performance.now() - start) / 1000)
    },
  }
}

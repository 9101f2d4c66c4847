import type { Job, Progress } from '../api/types.ts'
import { formatBytes, formatSpeed } from './bytes.ts'
import { formatClock, formatDuration } from './time.ts'

export type Mood = 'busy' | 'wait' | 'good' | 'bad' | 'idle'

const MOODS: Readonly<Record<string, Mood>> = {
  running: 'busy',
  canceling: 'wait',
  retrying: 'wait',
  paused: 'wait',
  queued: 'idle',
  scheduled: 'idle',
  canceled: 'idle',
  succeeded: 'good',
  failed: 'bad',
  // Workers'.
  draining: 'wait',
  drained: 'idle',
  lost: 'bad',
  // Redis'.
  reachable: 'good',
  away: 'bad',
}

/** States that are not known yet are shown by their name. */
export function moodOf(state: string): Mood {
  return MOODS[state] ?? 'idle'
}

const DONE: Readonly<Record<string, string>> = {
  publish: 'sent',
  pull: 'brought',
  copy: 'copied',
  verify: 'read',
}

/** What a job of that kind does with bytes, once they are through. */
export function movedOf(kind: string): string {
  return DONE[kind] ?? 'moved'
}

const DOING: Readonly<Record<string, string>> = {
  publish: 'sending',
  pull: 'bringing',
  copy: 'copying',
  verify: 'reading',
  mirror: 'sending',
}

/** Figures are told four times a second while bytes move. */
const STILL_MS = 6000

const PHASES: Readonly<Record<string, string>> = {
  planning: 'finding out what there is to do',
  verifying: 'checking',
  committing: 'writing manifest and tag',
}

/** One line that tells what is going on. */
export function sentenceOf(job: Job, now: number): string {
  const { state, reason, error, progress } = job
  if (state === 'succeeded') return successOf(job)
  if (state === 'failed') return error?.detail ?? reason ?? 'failed'
  if (state === 'canceled') return reason ?? 'canceled'
  if (state === 'running') return runningOf(job, now)
  return [reason ?? state, againAt(progress.retryAt, now, reason)].filter(Boolean).join(', ')
}

function runningOf({ kind, progress, reason }: Job, now: number): string {
  if (progress.reason)
    return [progress.reason, againAt(progress.retryAt, now, progress.reason)].filter(Boolean).join(', ')
  if (progress.phase === null) return reason ?? 'beginning'
  if (progress.phase !== 'transferring') return PHASES[progress.phase] ?? progress.phase
  const { layers, bytesPerSecond, etaSeconds, updatedAt } = progress
  const count = layers.total === null ? `${layers.done} layers so far` : `${layers.done} of ${layers.total} layers done`
  const stillMs = now - Date.parse(updatedAt)
  if (stillMs > STILL_MS) return `nothing has moved for ${formatDuration(stillMs)}, ${count}`
  const speed = bytesPerSecond === null ? '' : ` at ${formatSpeed(bytesPerSecond)}`
  const left = etaSeconds === null ? undefined : `${formatDuration(etaSeconds * 1000)} left`
  return [`${DOING[kind] ?? 'moving'}${speed}`, count, left].filter(Boolean).join(', ')
}

/** Reasons tell the time themselves, by the daemon's clock. */
function againAt(retryAt: string | null, now: number, reason: string | null): string | undefined {
  if (retryAt === null) return undefined
  const at = Date.parse(retryAt)
  if (at <= now) return 'again now'
  const left = `in ${formatDuration(at - now)}`
  return reason?.includes(' UTC') ? left : `again at ${formatClock(at)}, ${left}`
}

function successOf(job: Job): string {
  const { bytesDone, bytesSent } = job.progress
  const saved = bytesDone - bytesSent
  const took = tookOf(job)
  const kept = saved > 0 && bytesDone > 0 ? `, ${formatBytes(saved)} were there already` : ''
  return `${formatBytes(bytesSent)} ${movedOf(job.kind)}${took === undefined ? '' : ` in ${took}`}${kept}`
}

function tookOf({ startedAt, endedAt }: Pick<Job, 'startedAt' | 'endedAt'>): string | undefined {
  if (startedAt === null || endedAt === null) return undefined
  const ms = Date.parse(endedAt) - Date.parse(startedAt)
  return ms < 1000 ? 'less than a second' : formatDuration(ms)
}

/** What came of a job beside its error, which says why: how long it tried, and how far it came. */
export function failureOf(job: Job): string {
  const { attempt, progress } = job
  const total = totalOf(progress)
  const took = tookOf(job)
  const after = took === undefined ? '' : ` after ${took}`
  const tries = attempt > 1 ? ` and ${attempt} attempts` : ''
  const came =
    progress.bytesDone === 0
      ? 'nothing had moved'
      : `${formatBytes(progress.bytesDone)}${total === null ? '' : ` of ${formatBytes(total)}`} were there`
  return `failed${after}${tries}; ${came}`
}

export interface Part {
  readonly name: 'skipped' | 'mounted' | 'resumed' | 'sent'
  readonly bytes: number
}

/** What the bytes of a job are made of; together they are bytesDone. */
export function partsOf({ bytesSkipped, bytesMounted, bytesResumed, bytesSent }: Progress): Part[] {
  return [
    { name: 'skipped', bytes: bytesSkipped },
    { name: 'mounted', bytes: bytesMounted },
    { name: 'resumed', bytes: bytesResumed },
    { name: 'sent', bytes: bytesSent },
  ]
}

/** The total, or what it will be about. */
export function totalOf({ bytesTotal, bytesTotalEstimate }: Progress): number | null {
  return bytesTotal ?? bytesTotalEstimate
}

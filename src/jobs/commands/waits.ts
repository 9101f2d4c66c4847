import { timeOfDay } from '../../lib/text.ts'
import type { Job } from '../model/definitions.ts'
import { parseQueuePause, pauseText, type QueuePause } from '../model/queue-pause.ts'
import { PLAIN_REASONS } from '../model/plain-reasons.ts'
import { RUN_RETRIES } from '../model/run-retries.ts'
import { dispatchId } from '../dispatch/dispatch.ts'
import { queueName } from '../redis/keys.ts'
import { pipelineResults } from '../redis/redis.ts'
import type { JobStore } from './job-store.ts'
import { countWorkers } from '../system/worker-records.ts'

/** Figures older than that tell of no speed. */
const RATE_FRESH_MS = 5000

const WAITING: ReadonlySet<Job['state']> = new Set(['queued', 'retrying', 'paused', 'canceling'])

/**
 * The jobs with what each waits for, where its record does not say. One's place in a queue changes without the job, so it
 * is found out when it is asked for, and is no part of its revision; its events say less (model/plain-reasons.ts).
 */
export async function withWaits(store: JobStore, jobs: readonly Job[]): Promise<Job[]> {
  const told = jobs.map((job) => freshened(job, store.clock.now()))
  const waiting = told.filter(({ state, reason }) => WAITING.has(state) && reason === null)
  if (waiting.length === 0) return told
  const places = await placesOf(store, waiting)
  return told.map((job) => {
    const place = places.get(job.id)
    return place ? { ...job, reason: reasonOf(job, place) } : job
  })
}

/** A running job says what it waits for; a rate that nobody has renewed says nothing. */
function freshened(job: Job, now: number): Job {
  if (job.state !== 'running') return job
  const { progress } = job
  const reason = job.reason ?? (progress.retryAt === null ? null : progress.reason)
  if (now - Date.parse(progress.updatedAt) <= RATE_FRESH_MS) return { ...job, reason }
  return { ...job, reason, progress: { ...progress, bytesPerSecond: null, etaSeconds: null } }
}

interface Place {
  host: string
  retries: number
  /** From 1 on, among those that wait; undefined when it is not there. */
  position: number | undefined
  waiting: number
  active: number
  workers: { live: number; places: number }
  pause: QueuePause | undefined
}

/** Of each job's queue, in one pipeline. */
const FIGURES = 4

async function placesOf({ redis, keys, scripts }: JobStore, jobs: readonly Job[]): Promise<Map<string, Place>> {
  const records = redis.pipeline()
  for (const { id } of jobs) records.hmget(keys.job(id), 'host', 'round', 'retries')
  const [answers, workers] = await Promise.all([records.exec(), countWorkers({ keys, scripts })])
  const found = pipelineResults(answers)
  const known = jobs.map((job, at) => {
    const [host, round, retries] = found[at] as Array<string | null>
    return { id: job.id, host: host ?? '', round: Number(round ?? 1), retries: Number(retries ?? 0) }
  })
  const queues = redis.pipeline()
  for (const { id, host, round } of known) {
    const queue = `${keys.bullPrefix}:${queueName(host)}`
    // BullMQ takes from the right.
    queues.lpos(`${queue}:wait`, dispatchId({ id, round }), 'RANK', -1)
    queues.llen(`${queue}:wait`)
    queues.llen(`${queue}:active`)
    queues.hget(keys.pausedQueues, host)
  }
  const figures = pipelineResults(await queues.exec()) as Array<number | string | null>
  return new Map(
    known.map(({ id, host, retries }, at) => {
      const [index, waiting, active, pause] = figures.slice(FIGURES * at, FIGURES * (at + 1))
      const position = typeof index === 'number' ? Number(waiting) - index : undefined
      const found = { host, retries, position, waiting: Number(waiting), active: Number(active), workers }
      return [id, { ...found, pause: parseQueuePause(pause as string | null) }]
    }),
  )
}

function reasonOf({ state, error, progress }: Job, place: Place): string {
  switch (state) {
    case 'paused':
    case 'canceling':
      return PLAIN_REASONS[state]
    case 'retrying': {
      const said = error?.upstream?.status
        ? `${error.upstream.registry ?? place.host} answered ${error.upstream.status}`
        : (error?.title ?? 'the last run failed')
      if (place.pause) return `${said}; ${pauseText(place.host, place.pause)}`
      const at = progress.retryAt === null ? '' : ` at ${timeOfDay(progress.retryAt)}`
      return `${said}; try ${place.retries + 1} of ${RUN_RETRIES + 1}${at}`
    }
    default:
      return queuedReason(place)
  }
}

function queuedReason({ host, position, waiting, active, workers, pause }: Place): string {
  if (pause) return pauseText(host, pause)
  if (workers.live === 0) return 'no worker is running'
  if (workers.places === 0) return 'all workers are drained, so none takes jobs'
  if (position === undefined) return 'on its way to a worker'
  const busy = active === 0 ? 'which has none now' : `which has ${active} ${active === 1 ? 'job' : 'jobs'} now`
  return `${ordinal(position)} of ${waiting} waiting for ${host}, ${busy}`
}

function ordinal(n: number): string {
  const teens = n % 100 >= 11 && n % 100 <= 13
  const ending = teens ? 'th' : ({ 1: 'st', 2: 'nd', 3: 'rd' }[n % 10] ?? 'th')
  return `${n}${ending}`
}

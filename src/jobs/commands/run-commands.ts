import { randomUUID } from 'node:crypto'
import { AppError, ERROR_CODES } from '../../lib/errors.ts'
import type { Job, Problem } from '../model/definitions.ts'
import type { Dispatch } from '../dispatch/dispatch.ts'
import type { JobCredentials } from '../model/requests.ts'
import type { BegunRun, EndedRun, FinishedRun, ReportAnswer, RunOutcome, RunReport } from '../progress/reports.ts'
import type { JobTransition } from '../model/state.ts'
import { jobCanceled, jobPaused } from '../model/stops.ts'
import { allTransfers } from '../progress/transfers.ts'
import { runProblem } from '../model/job-run.ts'
import { LIMIT_FIELDS, parseLimits } from '../record/record.ts'
import { WORKER_SILENCE_MS } from '../system/worker-records.ts'
import type { JobStore } from './job-store.ts'

/** What the worker's calls work with. */
export interface RunContext extends JobStore {
  /** With `calls`: names each report, so that one which a reconnect sends twice is written once. */
  caller: string
  calls: number
  /** The machine of this process. */
  host: string
  pid: number
}

export interface RunKey {
  jobId: string
  epoch: number
}

/** Runs in a row that ended with a lost worker and moved no new byte. Source: design.md "A dead worker's job". */
const LOST_RUNS_LIMIT = 3

const STALLED: Problem = {
  type: '/docs/errors#JOB_STALLED',
  title: ERROR_CODES.JOB_STALLED.title,
  status: ERROR_CODES.JOB_STALLED.status,
  code: 'JOB_STALLED',
  detail: `${LOST_RUNS_LIMIT} runs in a row ended with a lost worker and moved no new byte`,
  hint: "Look for the end of the workers (memory, kills, crashes) in layerd's log, then retry the job.",
  retryable: true,
}

export async function beginRun(
  context: RunContext,
  { id, round }: Dispatch,
  workerName: string,
): Promise<BegunRun | EndedRun> {
  const worker = JSON.stringify({ id: workerName, host: context.host, pid: context.pid })
  const args = [round, workerName, randomUUID(), JSON.stringify(STALLED), LOST_RUNS_LIMIT, worker]
  const [status, epoch, retries, job = ''] = await context.scripts.job('begin', target(context, id), args)
  if (status === 'ended') return { ended: true }
  if (status === 'held') return { ended: true, held: true }
  const { redis, keys, vault } = context
  const sealed = await redis.get(keys.credentials(id))
  return {
    ended: false,
    job: JSON.parse(job) as Job,
    epoch: Number(epoch),
    limits: parseLimits(await redis.hmget(keys.job(id), ...LIMIT_FIELDS)),
    credentials: sealed === null ? undefined : (vault.open(id, sealed) as JobCredentials),
    transfers: await allTransfers(redis, keys, id),
    retries: Number(retries),
    wasOnce: (await redis.hexists(keys.job(id), 'once')) === 1,
  }
}

export async function beginOnce(context: RunContext, { jobId, epoch }: RunKey): Promise<boolean> {
  const [status] = await context.scripts.job('once', target(context, jobId), [epoch])
  if (status === 'fenced') throw noLonger({ jobId, epoch })
  return status === 'first'
}

export async function reportRun(context: RunContext, run: RunKey, report: RunReport): Promise<ReportAnswer> {
  context.calls += 1
  const args = [run.epoch, context.caller, context.calls, ...reportArguments(report)]
  const [status] = await context.scripts.job('report', target(context, run.jobId), args)
  return status as ReportAnswer
}

export async function finishRun(
  context: RunContext,
  run: RunKey,
  outcome: RunOutcome,
  report: RunReport,
): Promise<FinishedRun> {
  context.calls += 1
  const args = [run.epoch, context.caller, context.calls, ...outcomeArguments(outcome), ...reportArguments(report)]
  const [status, state] = await context.scripts.job('finish', target(context, run.jobId), args)
  return status === 'fenced' ? { fenced: true } : { fenced: false, state: state as Job['state'] }
}

export async function checkRun({ redis, keys }: RunContext, { jobId, epoch }: RunKey): Promise<void> {
  const [state, current, ...texts] = await redis.hmget(keys.job(jobId), 'state', 'epoch', 'cancelText', 'pauseText')
  if (Number(current) !== epoch || (state !== 'running' && state !== 'canceling')) {
    throw noLonger({ jobId, epoch })
  }
  const stop = requestedStop(jobId, [state, ...texts])
  if (stop !== undefined) throw stop
}

function noLonger({ jobId, epoch }: RunKey): AppError {
  return new AppError('JOB_FENCED', 'this run no longer owns the job', { details: { jobId, epoch } })
}

export async function readStop({ redis, keys }: RunContext, jobId: string): Promise<AppError | undefined> {
  return requestedStop(jobId, await redis.hmget(keys.job(jobId), 'state', 'cancelText', 'pauseText'))
}

function requestedStop(jobId: string, [state, cancelText, pauseText]: Array<string | null>): AppError | undefined {
  if (state === 'canceling') return jobCanceled(jobId, cancelText ?? '')
  return state === 'running' && typeof pauseText === 'string' ? jobPaused(jobId, pauseText) : undefined
}

export async function reapAbandoned(context: RunContext): Promise<number> {
  const { redis, keys, scripts } = context
  const canceling = await redis.zrange(keys.jobsInState('canceling'), '0', '-1')
  const running = await redis.zrange(keys.jobsInState('running'), '0', '-1')
  const pausing = await Promise.all(running.map((id) => redis.hexists(keys.job(id), 'pausing')))
  const held = await Promise.all(
    (await redis.hkeys(keys.pausedQueues)).map((host) => redis.zrange(keys.jobsInQueue(host, 'running'), '0', '-1')),
  )
  const ids = new Set([...canceling, ...running.filter((_, at) => pausing[at] === 1), ...held.flat()])
  let reaped = 0
  for (const id of ids) {
    const [status] = await scripts.job('reap', target(context, id), [WORKER_SILENCE_MS])
    if (status === 'reaped') reaped += 1
  }
  return reaped
}

function target({ keys, clock }: RunContext, id: string) {
  return { id, key: keys.job(id), prefix: keys.prefix, now: clock.now() }
}

/** As apply_report in scripts/jobs/moves.lua wants it. */
function reportArguments({
  progress,
  package: told,
  transfers = [],
  events = [],
  trace,
}: RunReport): Array<string | number> {
  return [
    progress === undefined ? '' : JSON.stringify(progress),
    progress === undefined ? '' : progress.bytesDone,
    told === undefined ? '' : JSON.stringify(told),
    transfers.length,
    ...transfers.flatMap((row) => [row.digest, JSON.stringify(row)]),
    trace?.requests.length ?? 0,
    trace?.dropped ?? 0,
    trace?.most ?? 0,
    ...(trace?.requests ?? []).map((request) => JSON.stringify(request)),
    ...events.flatMap(({ type, ...members }) => [type, JSON.stringify(members).slice(1, -1)]),
  ]
}

const TRANSITION_OF: Readonly<Record<RunOutcome['state'], JobTransition['type']>> = {
  succeeded: 'succeed',
  failed: 'fail',
  canceled: 'stop',
  paused: 'hold',
  retrying: 'delay',
  queued: 'release',
}

/** Transition, result, error, reason, retryAt, whether the run was no attempt, when the next begins, the run's problem: as scripts/jobs/finish.lua wants them. */
function outcomeArguments(outcome: RunOutcome): string[] {
  const facts = [
    'result' in outcome ? outcome.result : null,
    'error' in outcome ? outcome.error : null,
    'reason' in outcome ? outcome.reason : null,
    'retryAt' in outcome ? outcome.retryAt : null,
  ]
  const looked = outcome.state === 'queued' && outcome.until !== undefined
  const gaveUp = outcome.state === 'retrying' && outcome.reason !== undefined
  const spared = outcome.state === 'retrying' && outcome.spared === true
  const attempt = spared ? 'spared' : looked || gaveUp ? '1' : ''
  const next = ('until' in outcome ? outcome.until : undefined) ?? ('retryAt' in outcome ? outcome.retryAt : null)
  const problem = 'error' in outcome ? runProblem(outcome.error) : null
  const texts = [next, problem].map((fact) => JSON.stringify(fact))
  return [TRANSITION_OF[outcome.state], ...facts.map((fact) => JSON.stringify(fact)), attempt, ...texts]
}

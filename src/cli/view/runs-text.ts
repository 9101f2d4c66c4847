import { timeOfDay } from '../../lib/text.ts'
import type { JobRun, JobRuns } from '../client/contract.ts'
import { formatBytes, formatDuration } from './format.ts'

/** A job's runs as a time line: for each when it began, why, where, and what came of it; `now` in ms. */
export function runsText({ items, leftOut }: JobRuns, now: number): string {
  if (items.length === 0) {
    return leftOut === 0 ? 'no run has begun yet\n' : `its ${counted(leftOut)} from before this was kept\n`
  }
  const lines: string[] = []
  let last = 0
  for (const run of items) {
    const between = run.run - last - 1
    if (between > 0) lines.push(`... ${counted(between)} not kept ...`)
    last = run.run
    lines.push(...linesOf(run, now))
  }
  return `${lines.join('\n')}\n`
}

function counted(runs: number): string {
  return runs === 1 ? '1 run is' : `${runs} runs are`
}

function linesOf(run: JobRun, now: number): string[] {
  const { startedAt, endedAt, attempt, worker, bytesMoved, layersDone, looks } = run
  const took = formatDuration((endedAt === null ? now : Date.parse(endedAt)) - Date.parse(startedAt))
  const often = looks > 1 ? `, looked ${looks} times` : ''
  const moved = [
    ...(bytesMoved > 0 ? [formatBytes(bytesMoved)] : []),
    ...(layersDone > 0 ? [`${layersDone} ${layersDone === 1 ? 'layer' : 'layers'} done`] : []),
  ]
  const figures = [`${took}${often}`, ...moved].join(', ')
  return [
    `${startedAt}  run ${run.run}, try ${attempt}: ${causeOf(run)}`,
    `  on ${worker.host}, process ${worker.pid} (${worker.id})`,
    `  ${endedAt === null ? 'under way' : endOf(run)}: ${figures}`,
    ...whyOf(run).map((line) => `    ${line}`),
  ]
}

const CAUSES: Readonly<Record<NonNullable<JobRun['began']['cause']>, string>> = {
  first: 'the first',
  retry: 'retried',
  failure: 'again after a failure',
  takeover: 'taken over from a lost worker',
  resume: 'resumed',
  handover: 'handed over by its worker',
  wait: 'again after a wait',
}

function causeOf({ began: { cause, by, waitedSince }, startedAt }: JobRun): string {
  const words = cause === null ? 'again' : CAUSES[cause]
  const waited = waitedSince === null ? 0 : Date.parse(startedAt) - Date.parse(waitedSince)
  return `${words}${by === null ? '' : ` by ${by}`}${waited < 1000 ? '' : `, ${formatDuration(waited)} later`}`
}

const OUTCOMES: Readonly<Record<NonNullable<JobRun['ended']>['outcome'], string>> = {
  succeeded: 'succeeded',
  failed: 'failed',
  canceled: 'canceled',
  paused: 'paused',
  'handed-over': 'handed over',
  lost: 'its worker was lost',
  waiting: 'waited',
}

function endOf({ ended }: JobRun): string {
  if (ended === null) return 'under way'
  const { outcome, by } = ended
  return `${OUTCOMES[outcome]}${by === null || outcome === 'lost' ? '' : ` by ${by}`}`
}

/** What was said to it, and what follows. */
function whyOf({ ended }: JobRun): string[] {
  if (ended === null) return []
  const { problem, reason, retryAt, state, outcome, by } = ended
  const next = retryAt === null ? '' : `; again at ${timeOfDay(retryAt)}`
  const said = problem ? `${problem.detail} (${problem.code})` : (reason ?? '')
  const lost =
    outcome === 'lost' && state !== 'running' && !problem
      ? `the job is ${state}${by === null ? '' : `, as ${by} asked`}`
      : ''
  const lines = [said, lost].filter((line) => line !== '')
  if (lines.length === 0) return next === '' ? [] : [next.slice(2)]
  return lines.map((line, at) => (at === 0 ? `${line}${next}` : line))
}

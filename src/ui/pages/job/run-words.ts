import type { JobRun } from '../../api/types.ts'

type Cause = NonNullable<JobRun['began']['cause']>

const CAUSES: Readonly<Record<Cause, string>> = {
  first: 'Begun',
  retry: 'Begun again',
  failure: 'Tried again',
  takeover: 'Taken over from a worker that was lost',
  resume: 'Gone on after a pause',
  handover: 'Taken over from a worker that was shut down',
  wait: 'Looked again',
}

/** Why a run began; causes that are not known yet say nothing. */
export function beganOf({ began }: Pick<JobRun, 'began'>): string {
  const why = began.cause === null ? 'Begun' : (CAUSES[began.cause] ?? 'Begun')
  return began.by === null ? why : `${why} by ${began.by}`
}

/** How long nothing ran before it, where that was long enough to be told. */
export function waitedMs(run: JobRun, before: JobRun | undefined): number | undefined {
  if (before === undefined || before.endedAt === null) return undefined
  const ms = Date.parse(run.startedAt) - Date.parse(before.endedAt)
  return ms < 1000 ? undefined : ms
}

const OUTCOMES: Readonly<Record<string, string>> = {
  succeeded: 'It succeeded',
  failed: 'It failed',
  canceled: 'It was canceled',
  paused: 'It was paused',
  'handed-over': 'It was handed over',
  lost: 'Its worker was lost',
  waiting: 'It went away until there is something to do',
}

/** How it ended, and what became of the job by that. */
export function endedOf({ ended }: Pick<JobRun, 'ended'>): string {
  if (ended === null) return 'It goes on'
  const by = ended.by === null ? '' : ` by ${ended.by}`
  const reason = ended.reason === null ? '' : `: ${ended.reason}`
  return `${OUTCOMES[ended.outcome] ?? ended.outcome}${by}${reason}`
}

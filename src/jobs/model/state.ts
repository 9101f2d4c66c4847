import type { JobState } from './definitions.ts'

/**
 * The life of a job.
 *
 *    create            begin                 succeed
 *   --------> queued ----------> running ---------------> succeeded
 *              |  ^  \             | | ^ \ \   fail, stall
 *              |  |   \    release | | |  \ `-------------> failed --.
 *              |  |    <-----------' | |   \                         |
 *              |  |            delay | | begin                       | retry
 *              |  |                  v |     \ cancel                | (also from canceled)
 *              |  |            retrying       v                      |
 *              |  |                |      canceling                  |
 *              |  |         cancel |          | stop, and whatever   |
 *       cancel |  |                v          v else but succeed     |
 *              `--|------------> canceled <---'                      |
 *                 `----------------+---------------------------------'
 *
 *   queued, scheduled, retrying --pause--> paused --resume--> queued
 *   running --pause--> running, and its worker is told --hold--> paused          paused --cancel--> canceled
 *
 * `running` on begin: a run took over from a lost worker. `canceling` on succeed: the tag was already there, and the record
 * says what is true. A terminal state leaves only by retry. While a pause is asked for (a field of the record), what would
 * lead from running to queued or retrying leads to paused, and so does the begin of a takeover; a resume takes it back.
 */
export type JobTransition =
  /** A worker starts a run. */
  | { type: 'begin' }
  | { type: 'succeed' }
  | { type: 'fail' }
  /** A transient failure; the next run starts later. */
  | { type: 'delay' }
  /** The worker hands the job back. */
  | { type: 'release' }
  /** Lost workers, too often. */
  | { type: 'stall' }
  /** Someone asks to cancel. */
  | { type: 'cancel' }
  /** The work stopped because of a cancel. */
  | { type: 'stop' }
  /** Someone asks to run an ended job again. */
  | { type: 'retry' }
  /** Someone asks to let it rest. */
  | { type: 'pause' }
  /** The work stopped because of a pause. */
  | { type: 'hold' }
  /** Someone asks to go on with a paused job. */
  | { type: 'resume' }

type Moves = Readonly<Partial<Record<JobTransition['type'], JobState>>>

const WAITING: Moves = { begin: 'running', cancel: 'canceled', pause: 'paused' }

/** The scripts get this very table (scripts.ts), so Redis and TypeScript cannot differ. */
export const TRANSITIONS: Readonly<Record<JobState, Moves>> = {
  queued: { ...WAITING, resume: 'queued' },
  scheduled: { ...WAITING, resume: 'scheduled' },
  retrying: { ...WAITING, resume: 'retrying' },
  paused: { cancel: 'canceled', pause: 'paused', resume: 'queued' },
  running: {
    begin: 'running',
    succeed: 'succeeded',
    fail: 'failed',
    delay: 'retrying',
    release: 'queued',
    stall: 'failed',
    cancel: 'canceling',
    stop: 'canceled',
    pause: 'running',
    hold: 'paused',
    resume: 'running',
  },
  canceling: {
    begin: 'canceled',
    succeed: 'succeeded',
    fail: 'canceled',
    delay: 'canceled',
    release: 'canceled',
    stall: 'canceled',
    cancel: 'canceling',
    stop: 'canceled',
    hold: 'canceled',
  },
  canceled: { cancel: 'canceled', retry: 'queued' },
  failed: { retry: 'queued' },
  succeeded: {},
}

/** The state after `transition`, or undefined when this state refuses it. */
export function next(state: JobState, transition: JobTransition): JobState | undefined {
  return TRANSITIONS[state][transition.type]
}

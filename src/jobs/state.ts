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
 * `running` on begin: a run took over from a lost worker. `canceling` on succeed: the tag was already there, and the record
 * says what is true. A terminal state leaves only by retry.
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

type Moves = Readonly<Partial<Record<JobTransition['type'], JobState>>>

const WAITING: Moves = { begin: 'running', cancel: 'canceled' }

/** The scripts get this very table (scripts.ts), so Redis and TypeScript cannot differ. */
export const TRANSITIONS: Readonly<Record<JobState, Moves>> = {
  queued: WAITING,
  scheduled: WAITING,
  retrying: WAITING,
  paused: { cancel: 'canceled' },
  running: {
    begin: 'running',
    succeed: 'succeeded',
    fail: 'failed',
    delay: 'retrying',
    release: 'queued',
    stall: 'failed',
    cancel: 'canceling',
    stop: 'canceled',
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
  },
  canceled: { cancel: 'canceled', retry: 'queued' },
  failed: { retry: 'queued' },
  succeeded: {},
}

/** The state after `transition`, or undefined when this state refuses it. */
export function next(state: JobState, transition: JobTransition): JobState | undefined {
  return TRANSITIONS[state][transition.type]
}

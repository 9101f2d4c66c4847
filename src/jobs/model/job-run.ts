import { type Static, Type } from 'typebox'
import { JOB_STATES, type Problem } from './definitions.ts'
import { Bytes, Nullable } from './outcome.ts'

export const RUN_CAUSES = ['first', 'retry', 'failure', 'takeover', 'resume', 'handover', 'wait'] as const
export const RUN_OUTCOMES = ['succeeded', 'failed', 'canceled', 'paused', 'handed-over', 'lost', 'waiting'] as const

const Timestamp = (description: string) => Type.String({ format: 'date-time', description })

const RunEnd = Type.Object({
  outcome: Type.Enum([...RUN_OUTCOMES], {
    description:
      'handed-over: its worker was shut down or drained. lost: its worker was gone. waiting: it went away until there is room, a registry lets it in again, or others had their turn.',
  }),
  state: Type.Enum([...JOB_STATES], { description: 'That it left the job in; running where another one took over.' }),
  by: Nullable(Type.String({ description: 'Who asked for the cancel or the pause.' })),
  reason: Nullable(Type.String({ description: 'What they said, or what it waits for.' })),
  problem: Nullable(
    Type.Ref('Problem', {
      description: 'What went wrong, in short: details and upstream messages are those of the job.',
    }),
  ),
  retryAt: Nullable(Timestamp('When the next run was to begin.')),
})

export const JobRun = Type.Object(
  {
    run: Type.Integer({
      minimum: 1,
      description: 'Counts the runs of the job; where some are left out, it tells which.',
    }),
    attempt: Type.Integer({ minimum: 0, description: 'Several runs may be of one attempt.' }),
    worker: Type.Object({
      id: Type.String({ description: 'As GET /v1/workers has it.' }),
      host: Type.String({ description: 'The name of its machine or container.' }),
      pid: Type.Integer({ description: 'Of its process there.' }),
    }),
    began: Type.Object({
      cause: Nullable(
        Type.Enum([...RUN_CAUSES], {
          description:
            'retry, resume: somebody asked. failure: the run before failed, and it is tried again. takeover: its worker was lost. handover: its worker was shut down or drained. wait: it had gone away. null: it is from before this was kept.',
        }),
      ),
      by: Nullable(Type.String({ description: 'Who asked for the retry or the resume.' })),
      waitedSince: Nullable(Timestamp('Since when the job waited for it.')),
    }),
    ended: Nullable(RunEnd),
    startedAt: Timestamp('By the clock of Redis, as all times of runs.'),
    endedAt: Nullable(Timestamp('null: it is under way. Of one that was lost, when that was found.')),
    bytesMoved: Bytes('Sent or received in it, those moved again included.'),
    layersDone: Type.Integer({
      minimum: 0,
      description: 'Layers that it brought to their end, those that were there included.',
    }),
    looks: Type.Integer({
      minimum: 1,
      description: 'How many runs it stands for, each of which found that there is nothing to do yet.',
    }),
  },
  { $id: 'JobRun', description: 'One run of a job.' },
)
export type JobRun = Omit<Static<typeof JobRun>, 'ended'> & {
  ended: (Omit<Static<typeof RunEnd>, 'problem'> & { problem: Problem | null }) | null
}

export interface JobRuns {
  readonly items: JobRun[]
  /** How many runs there were beside these. */
  readonly leftOut: number
}

/** Characters of each text of a problem that is kept with a run: of a hundred runs each may have one. */
const TEXT_CHARACTERS = 500

/** What a run tells of an error. */
export function runProblem({ type, title, status, detail, code, hint, retryable, upstream }: Problem): Problem {
  const { registry, repository, status: answered } = upstream ?? {}
  return {
    type,
    title,
    status,
    detail: detail.slice(0, TEXT_CHARACTERS).toWellFormed(),
    code,
    ...(hint === undefined ? {} : { hint: hint.slice(0, TEXT_CHARACTERS).toWellFormed() }),
    retryable,
    ...(registry === undefined
      ? {}
      : {
          upstream: {
            registry,
            ...(repository === undefined ? {} : { repository }),
            ...(answered === undefined ? {} : { status: answered }),
          },
        }),
  }
}

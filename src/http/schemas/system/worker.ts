import { type Static, Type } from 'typebox'
import { JobKind } from '../../../jobs/model/definitions.ts'
import { pageOf, pageQuery } from '../page.ts'

const TIME = { format: 'date-time' } as const
const bytes = (description: string) => Type.Integer({ minimum: 0, description })

export const Worker = Type.Object(
  {
    id: Type.String({ description: 'Of this one process: logs and jobs name it so.' }),
    name: Type.String({ description: 'What people call it: layerd worker --name, else the machine, or worker-N.' }),
    host: Type.String({ description: 'The machine.' }),
    pid: Type.Integer({ description: 'There.' }),
    version: Type.String({ description: 'Of layerd.' }),
    since: Type.String({ ...TIME, description: 'When it was started.' }),
    state: Type.Enum(['running', 'draining', 'drained', 'lost'], {
      description:
        'draining: it takes no more jobs, some run there still. drained: none runs there, and none will. lost: no sign of it for 15 s, or it was seen to die; it is told for two and a half minutes, or until it is back.',
    }),
    drain: Type.Union(
      [
        Type.Object({
          since: Type.String(TIME),
          handOver: Type.Boolean({ description: 'What ran there was given to others.' }),
        }),
        Type.Null(),
      ],
      { description: 'Null: it takes jobs.' },
    ),
    jobs: Type.Array(
      Type.Object({ id: Type.String(), kind: JobKind, since: Type.String({ ...TIME, description: 'There.' }) }),
      { description: 'All that run there. Of a lost one: that ran there when it was last heard of.' },
    ),
    places: Type.Integer({ minimum: 0, description: 'Jobs that it runs at once: LAYERD_JOBS_PER_WORKER.' }),
    memory: Type.Object({
      rssBytes: bytes('Of the process.'),
      heapBytes: bytes('Of it what JavaScript holds.'),
    }),
    cpu: Type.Number({ minimum: 0, description: 'Processors that it keeps busy, lately: 1 is all of one.' }),
    bytesPerSecond: Type.Object(
      {
        in: bytes("Bodies of registries' answers."),
        out: bytes('Layers.'),
      },
      { description: 'Over the last two to five seconds, of all jobs there together.' },
    ),
    lastSeenAt: Type.String({ ...TIME, description: "By Redis' clock, as all times here." }),
  },
  { $id: 'Worker', description: 'A process that runs jobs, as it last told of itself.' },
)
export type Worker = Static<typeof Worker>

export const WorkerParams = Type.Object({
  id: Type.String({ maxLength: 512, description: 'Its id, as GET /v1/workers tells it.' }),
})

export const listWorkersSchema = {
  tags: ['system'],
  operationId: 'listWorkers',
  summary: 'The processes that run jobs, by machine',
  description: 'Needs the scope system:read. A token with limits sees none.',
  querystring: Type.Object(pageQuery, { additionalProperties: false }),
  response: { 200: pageOf('Worker') },
}

export const getWorkerSchema = {
  tags: ['system'],
  operationId: 'getWorker',
  summary: 'A process that runs jobs',
  description: 'Needs the scope system:read. To a token with limits it is not there.',
  params: WorkerParams,
  response: { 200: Type.Ref('Worker') },
}

const ofWorker = { 'application/json': { schema: Type.Ref('Worker') } }
const params = WorkerParams

export const drainWorkerSchema = {
  tags: ['system'],
  operationId: 'drainWorker',
  summary: 'Let a worker take no more jobs, before its machine or pod ends',
  description:
    'Needs the scope system:admin. What runs there goes on, and the worker is drained when it has ended; with handOver it goes on elsewhere at once, from where it stands. It holds for this one process: the one that takes its place takes jobs.',
  params,
  body: Type.Unsafe<{ handOver?: boolean } | null>({
    type: ['object', 'null'],
    properties: { handOver: { type: 'boolean', default: false, description: 'Queue again what runs there.' } },
    additionalProperties: false,
  }),
  response: { 200: { description: 'It is told; its state says how far that is.', content: ofWorker } },
}

export const resumeWorkerSchema = {
  tags: ['system'],
  operationId: 'resumeWorker',
  summary: 'Let a drained worker take jobs again',
  description: 'Needs the scope system:admin. One that is not drained stays as it is.',
  params,
  body: Type.Unsafe<Record<string, never> | null>({ type: ['object', 'null'], additionalProperties: false }),
  response: { 200: { description: 'It is told.', content: ofWorker } },
}

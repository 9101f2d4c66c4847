import { Type } from 'typebox'
import { EVENT_TYPES, Progress } from '../../jobs/model/definitions.ts'
import { jobFilterQuery } from './job.ts'

export const JobEventSchema = Type.Object(
  {
    id: Type.Optional(Type.String({ description: "Opaque; SSE carries it as the event's id." })),
    type: Type.Enum([...EVENT_TYPES]),
    jobId: Type.String(),
    seq: Type.Integer({ description: "Counts the job's events from 1, without gaps." }),
    time: Type.String({ format: 'date-time' }),
    attempt: Type.Integer(),
    job: Type.Optional(Type.Ref('Job', { description: 'snapshot, state, end.' })),
    progress: Type.Optional(Type.Ref('Progress', { description: 'plan, progress.' })),
    transfers: Type.Optional(
      Type.Array(Type.Ref('Transfer'), {
        description: 'snapshot: active and failed ones, at most 100; transfer and progress: those that changed.',
      }),
    ),
    level: Type.Optional(Type.String({ description: 'log.' })),
    code: Type.Optional(Type.String({ description: 'warning.' })),
    message: Type.Optional(Type.String({ description: 'log, warning.' })),
  },
  { $id: 'JobEvent', description: 'Clients must pass over types they do not know.' },
)

export const followEventsSchema = {
  tags: ['jobs'],
  operationId: 'followJobEvents',
  summary: "The job's events: server-sent events, NDJSON or one JSON page, by Accept",
  description:
    'A stream begins with a snapshot, or after the event named by Last-Event-ID, and ends with the job. A reconnect to an ended job with its last id is a 204.',
  params: Type.Object({ id: Type.String() }),
  querystring: Type.Object(
    {
      lastEventId: Type.Optional(Type.String({ maxLength: 64, description: 'Like the header, for curl.' })),
      once: Type.Optional(Type.Boolean({ description: 'The snapshot, then the stream closes.' })),
      pageSize: Type.Optional(Type.Integer({ minimum: 1, description: 'Of the JSON page; default 50, at most 200.' })),
    },
    { additionalProperties: false },
  ),
  headers: Type.Object({ 'last-event-id': Type.Optional(Type.String()) }),
  response: {
    200: {
      description: 'The events.',
      content: {
        'text/event-stream': { schema: Type.String() },
        'application/x-ndjson': { schema: Type.String() },
        'application/json': {
          schema: Type.Object({
            items: Type.Array(Type.Ref('JobEvent')),
            lastEventId: Type.Optional(Type.String({ description: 'Where the next page goes on; absent when empty.' })),
          }),
        },
      },
    },
    204: Type.Null({ description: 'The job has ended and the client has had all its events.' }),
  },
}

/** In the order in which a stream may show them. */
const FLEET_EVENT_TYPES = [
  'reset',
  'snapshot',
  'queues',
  'workers',
  'created',
  'state',
  'end',
  'removed',
  'progress',
  'ping',
] as const

export const FleetEventSchema = Type.Object(
  {
    id: Type.Optional(Type.String({ description: "Opaque; SSE carries it as the event's id." })),
    type: Type.Enum([...FLEET_EVENT_TYPES]),
    time: Type.String({ format: 'date-time' }),
    jobId: Type.Optional(Type.String({ description: 'created, state, end, removed.' })),
    revision: Type.Optional(
      Type.Integer({
        description: 'created, state, end: of the job; one that is not greater than the known one is no news.',
      }),
    ),
    matches: Type.Optional(
      Type.Boolean({
        description: 'created, state, end: the filters let the job through as it is now; false: take it from the list.',
      }),
    ),
    job: Type.Optional(Type.Ref('Job', { description: 'created, state, end.' })),
    jobs: Type.Optional(Type.Array(Type.Ref('Job'), { description: 'snapshot: the newest 200.' })),
    moved: Type.Optional(Type.Array(Type.Ref('JobMove'), { description: 'progress.' })),
    nextPageToken: Type.Optional(
      Type.String({
        description:
          'snapshot: there are more, in GET /v1/jobs with the same filters; queues, workers: in GET /v1/queues, /v1/workers.',
      }),
    ),
    queues: Type.Optional(
      Type.Array(Type.Ref('Queue'), {
        description:
          'queues: the first 200 by host, as GET /v1/queues has them, in place of those of the event before.',
      }),
    ),
    workers: Type.Optional(
      Type.Array(Type.Ref('Worker'), {
        description: 'workers: the first 200 by machine, as GET /v1/workers has them, in place of those before.',
      }),
    ),
  },
  { $id: 'FleetEvent', description: 'Clients must pass over types they do not know.' },
)

const { phase, bytesDone, bytesTotal, bytesTotalEstimate, bytesPerSecond, etaSeconds, reason, retryAt } =
  Progress.properties

export const JobMove = Type.Object(
  {
    jobId: Type.String(),
    revision: Type.Integer({ description: 'One that is less than the known one is no news.' }),
    progress: Type.Partial(
      Type.Object({ phase, bytesDone, bytesTotal, bytesTotalEstimate, bytesPerSecond, etaSeconds, reason, retryAt }),
      {
        description: "What a list shows of the job's progress, as it is called there; what is null there is left out.",
      },
    ),
  },
  { $id: 'JobMove', description: 'A running job as it moves along.' },
)

const INCLUDED = ['queues', 'workers'] as const

export const followFleetSchema = {
  tags: ['jobs'],
  operationId: 'followEvents',
  summary: 'What happens to all jobs: server-sent events, NDJSON or one JSON page, by Accept',
  description:
    'Of those that the caller sees. A stream begins with a snapshot, or after the event named by Last-Event-ID; where that is too old, with a reset and a snapshot. Changes come at once, progress twice a second as one event for all jobs that moved. It has no end of its own. With include it tells queues and workers, too.',
  querystring: Type.Object(
    {
      ...jobFilterQuery,
      include: Type.Optional(
        Type.Array(Type.Enum([...INCLUDED]), {
          maxItems: 8,
          description:
            'Repeatable: whole lists that are told at the beginning, and again when they changed: queues once a second at most (what merely goes on with time every ten), workers every two. Needs the scope system:read; a limited token is told what GET /v1/queues and /v1/workers show it.',
        }),
      ),
      lastEventId: Type.Optional(Type.String({ maxLength: 64, description: 'Like the header, for curl.' })),
      once: Type.Optional(Type.Boolean({ description: 'The snapshot, then the stream closes.' })),
      pageSize: Type.Optional(
        Type.Integer({ minimum: 1, description: 'Of the JSON page, before filters; default 50, at most 200.' }),
      ),
    },
    { additionalProperties: false },
  ),
  headers: Type.Object({ 'last-event-id': Type.Optional(Type.String()) }),
  response: {
    200: {
      description: 'The events.',
      content: {
        'text/event-stream': { schema: Type.String() },
        'application/x-ndjson': { schema: Type.String() },
        'application/json': {
          schema: Type.Object({
            items: Type.Array(Type.Ref('FleetEvent')),
            lastEventId: Type.String({ description: 'Where the next page goes on.' }),
          }),
        },
      },
    },
  },
}

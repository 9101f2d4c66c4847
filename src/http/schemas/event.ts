import { Type } from 'typebox'
import { EVENT_TYPES } from '../../jobs/model/definitions.ts'

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

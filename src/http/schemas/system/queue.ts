import { type Static, Type } from 'typebox'
import { pageOf, pageQuery } from '../page.ts'

const Count = (description: string) => Type.Integer({ minimum: 0, description })

export const Queue = Type.Object(
  {
    id: Type.String({ description: 'Its host as one part of a path, as in /v1/registries: [::1]:5000 is ~::1~:5000.' }),
    host: Type.String({ description: 'host[:port] of the registry; local: jobs that go to none.' }),
    jobs: Type.Object(
      {
        waiting: Count('Queued: a worker may take them.'),
        running: Count('Those that are being canceled among them.'),
        retrying: Count('They failed, and wait for the time of their next try.'),
        paused: Count('Jobs that were paused, each by itself.'),
      },
      { description: 'Jobs that have not ended, by state.' },
    ),
    oldestWaitingSeconds: Type.Union([Type.Number(), Type.Null()], {
      description: 'How long that of those that wait has waited which has waited longest; null when none does.',
    }),
    jobsPerMinute: Type.Number({ description: 'Runs that ended their job, over the last four to five minutes.' }),
    limits: Type.Object({
      jobs: Type.Object(
        {
          value: Count('In all processes together.'),
          from: Type.Enum(['setting', 'environment'], {
            description:
              'setting: limits of the registry; environment: the least LAYERD_REGISTRY_JOBS of the workers that live.',
          }),
        },
        { description: 'Jobs that run at once.' },
      ),
      requestsPerSecond: Type.Union(
        [
          Type.Object({
            value: Type.Number(),
            from: Type.Enum(['setting', 'learnt'], {
              description: 'setting: limits of the registry; learnt: more than that it was seen to refuse.',
            }),
          }),
          Type.Null(),
        ],
        { description: 'null: as many as jobs ask.' },
      ),
    }),
    pause: Type.Union(
      [
        Type.Object({
          by: Type.String({ description: 'Whose token paused it.' }),
          since: Type.String({ format: 'date-time' }),
          reason: Type.Union([Type.String(), Type.Null()]),
        }),
        Type.Null(),
      ],
      { description: 'No job of it is started; those that run go on. null: it is not paused.' },
    ),
    reason: Type.Union([Type.String(), Type.Null()], {
      description:
        'Why those that wait do so, where it is more than their turn. null: none waits, or it is their turn.',
    }),
  },
  { $id: 'Queue', description: 'The jobs of one registry, and why they wait.' },
)
export type Queue = Static<typeof Queue>

const QueueParams = Type.Object({
  host: Type.String({
    minLength: 1,
    maxLength: 600,
    description: 'host[:port] of a registry, as its id or percent-encoded, or local.',
  }),
})

export const listQueuesSchema = {
  tags: ['system'],
  operationId: 'listQueues',
  summary: 'The queues of registries that have jobs which have not ended, by host',
  description: 'Needs the scope system:read. A limited token sees those of registries that are its own as a whole.',
  querystring: Type.Object(pageQuery, { additionalProperties: false }),
  response: { 200: pageOf('Queue') },
}

export const getQueueSchema = {
  tags: ['system'],
  operationId: 'getQueue',
  summary: 'The queue of a registry',
  description:
    'Needs the scope system:read. 404 where it is not paused and none of its jobs is queued, running, retrying or paused.',
  params: QueueParams,
  response: { 200: Type.Ref('Queue') },
}

const ReasonBody = Type.Unsafe<{ reason?: string } | null>({
  type: ['object', 'null'],
  properties: { reason: { type: 'string', maxLength: 500, description: 'Told to all whose jobs wait by it.' } },
  additionalProperties: false,
})
const NoBody = Type.Unsafe<Record<string, never> | null>({ type: ['object', 'null'], additionalProperties: false })

export const pauseQueueSchema = {
  tags: ['system'],
  operationId: 'pauseQueue',
  summary: 'Start no more jobs of a registry, in any process; those that run go on',
  description:
    'Needs the scope system:admin. Stays so until it is taken back, whatever is restarted. A registry without jobs may be paused ahead; one that is paused stays as it is. At most 1,000.',
  params: QueueParams,
  body: ReasonBody,
  response: { 200: Type.Ref('Queue') },
}

export const resumeQueueSchema = {
  tags: ['system'],
  operationId: 'resumeQueue',
  summary: 'Start jobs of a registry again',
  description: 'Needs the scope system:admin. One that is not paused stays as it is.',
  params: QueueParams,
  body: NoBody,
  response: { 200: Type.Ref('Queue') },
}

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
          from: Type.Enum(['environment'], { description: 'environment: LAYERD_REGISTRY_JOBS.' }),
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
  description: 'Needs the scope system:read. 404 where none of its jobs is queued, running, retrying or paused.',
  params: QueueParams,
  response: { 200: Type.Ref('Queue') },
}

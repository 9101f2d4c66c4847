import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { requireChange, sees } from '../../access/sight.ts'
import type { Job } from '../../jobs/model/definitions.ts'
import { ownedJob } from '../../jobs/model/places.ts'
import type { JobQueue } from '../../jobs/queue.ts'
import { noSuchJob } from '../answers/job-answers.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The job that the address names, as the caller sees it; on routes below /v1/jobs/{id} alone. */
    job: Job
  }
  interface FastifyContextConfig {
    /** What becomes of the job that the address names. Every route below /v1/jobs/{id} says it. */
    job?: 'looked-at' | 'changed'
  }
}

export interface JobSightOptions {
  queue: Pick<JobQueue, 'get'>
}

/**
 * Whose job it is, before anything else is said of it: what the caller may not see is not there (JOB_NOT_FOUND, as of an id that
 * never was), what it sees and may not change is SCOPE_MISSING. A route about a job that does not say which ends the start.
 */
export const jobSightPlugin = fastifyPlugin(
  async (app: FastifyInstance, { queue }: JobSightOptions) => {
    app.decorateRequest('job', null as unknown as Job)
    app.addHook('onRoute', ({ url, method, config }) => {
      if (!url.startsWith('/v1/jobs/:') || config?.job !== undefined) return
      throw new Error(`the route ${[method].flat().join(', ')} ${url} does not say what becomes of the job`)
    })
    app.addHook('preHandler', async (request) => {
      const { job: what } = request.routeOptions.config
      if (what === undefined) return
      const { id } = request.params as { id: string }
      const job = await queue.get(id, (found) => sees(request.caller, ownedJob(found)))
      if (!job) throw noSuchJob(id)
      if (what === 'changed') requireChange(request.caller, ownedJob(job))
      request.job = job
    })
  },
  { name: 'job-sight', fastify: '5.x', dependencies: ['auth'] },
)

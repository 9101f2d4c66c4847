import type { FastifyReply } from 'fastify'
import type { Job } from '../../jobs/model/definitions.ts'
import { AppError } from '../../lib/errors.ts'
import { readWait } from './job-wait.ts'

/** Seconds after which to look again at a job that runs. */
export const RETRY_AFTER_SECONDS = '2'

/** Tells the client how long it will wait at most. */
export function applyWait(reply: FastifyReply, prefer: string | string[] | undefined): number | undefined {
  const seconds = readWait(prefer)
  if (seconds !== undefined) void reply.header('preference-applied', `wait=${seconds}`)
  return seconds
}

export function etagOf(job: Job): string {
  return `"r${job.revision}"`
}

export function noSuchJob(id: string): AppError {
  return new AppError('JOB_NOT_FOUND', `there is no job ${id.slice(0, 64)}`, {
    hint: 'Jobs go 30 days after their end; GET /v1/jobs lists those there are.',
  })
}

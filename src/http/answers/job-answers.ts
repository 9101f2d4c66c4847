import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Job } from '../../jobs/model/definitions.ts'
import { AppError } from '../../lib/errors.ts'
import { readWait } from './job-wait.ts'
import type { OpenAnswers } from './open-answers.ts'

/** Seconds after which to look again at a job that runs. */
export const RETRY_AFTER_SECONDS = '2'

/**
 * Tells the client how long it will wait at most. It is a preference: who has too many answers open is answered at once.
 * Source: RFC 7240 2.
 */
export function applyWait(request: FastifyRequest, reply: FastifyReply, openStreams: OpenAnswers): number | undefined {
  const seconds = readWait(request.headers.prefer)
  if (seconds === undefined || !openStreams.takeIfFree(request, reply)) return undefined
  void reply.header('preference-applied', `wait=${seconds}`)
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

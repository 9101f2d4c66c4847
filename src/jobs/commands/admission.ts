import { AppError } from '../../lib/errors.ts'
import { sizeText } from '../../lib/text.ts'

/** Room comes with the end of jobs, and nobody knows when that is. */
const RETRY_MS = 30_000

/**
 * Whether a job was taken into the hands of the workers: throws TOO_MANY_HOSTS, TOO_MANY_JOBS or QUEUE_FULL, with the figure
 * and when to ask again, where a script's answer says that it was not.
 */
export function throwIfRefused(status: string, what: string, figures: readonly string[]): void {
  const [figure = 0, limit = 0, most = 0] = figures.map(Number)
  if (status === 'crowded') {
    if (what === 'alone') throw tooManyHostsAlone(figure, limit, most)
    throw what === 'own' ? tooManyHostsOfOne(figure, limit) : tooManyHosts(figure)
  }
  if (status !== 'full') return
  if (what === 'memory') throw queueFull(figure, limit)
  if (what === 'alone') throw tooManyAlone(figure, limit, most)
  throw what === 'own' ? tooManyOfOne(figure, limit) : tooManyJobs(figure, limit)
}

/** Told to who has all that one may have while nobody else has jobs. */
function keptForOthers(limit: number, most: number, setting: string): string {
  return `one may have ${limit} of the ${most} of ${setting}, the others are kept for who comes next`
}

function registriesHave(hosts: number): string {
  return hosts === 1 ? '1 registry has' : `${hosts} registries have`
}

function tooManyHosts(hosts: number): AppError {
  return new AppError('TOO_MANY_HOSTS', `${registriesHave(hosts)} jobs that are queued, running or retrying`, {
    retryAfterMs: RETRY_MS,
    hint: 'Try again when jobs of some have ended, cancel what hangs, or set LAYERD_MAX_HOSTS higher.',
    details: { hosts },
  })
}

function tooManyHostsOfOne(hosts: number, limit: number): AppError {
  return new AppError(
    'TOO_MANY_HOSTS',
    `${registriesHave(hosts)} jobs of yours that are queued, running or retrying; while others have jobs, one may have ${limit}`,
    {
      retryAfterMs: RETRY_MS,
      hint: 'Try again when jobs of yours at some of them have ended, or cancel what hangs.',
      details: { hosts, limit },
    },
  )
}

function tooManyHostsAlone(hosts: number, limit: number, most: number): AppError {
  const kept = keptForOthers(limit, most, 'LAYERD_MAX_HOSTS')
  return new AppError(
    'TOO_MANY_HOSTS',
    `${registriesHave(hosts)} jobs of yours that are queued, running or retrying; ${kept}`,
    {
      retryAfterMs: RETRY_MS,
      hint: 'Try again when jobs of yours at some of them have ended, cancel what hangs, or set LAYERD_MAX_HOSTS higher.',
      details: { hosts, limit },
    },
  )
}

function tooManyJobs(open: number, limit: number): AppError {
  return new AppError('TOO_MANY_JOBS', `${open} jobs have not ended; ${limit} may be open at once`, {
    retryAfterMs: RETRY_MS,
    hint: 'Try again when some have ended, cancel what is not needed, or set LAYERD_MAX_JOBS higher.',
    details: { open, limit },
  })
}

function tooManyOfOne(open: number, limit: number): AppError {
  return new AppError(
    'TOO_MANY_JOBS',
    `${open} of your jobs have not ended; while others have jobs, one may have ${limit}`,
    {
      retryAfterMs: RETRY_MS,
      hint: 'Try again when some of yours have ended, or cancel what is not needed.',
      details: { open, limit },
    },
  )
}

function tooManyAlone(open: number, limit: number, most: number): AppError {
  const jobs = open === 1 ? '1 of your jobs has' : `${open} of your jobs have`
  const kept = keptForOthers(limit, most, 'LAYERD_MAX_JOBS')
  return new AppError('TOO_MANY_JOBS', `${jobs} not ended; ${kept}`, {
    retryAfterMs: RETRY_MS,
    hint: 'Try again when some of yours have ended, cancel what is not needed, or set LAYERD_MAX_JOBS higher.',
    details: { open, limit },
  })
}

function queueFull(used: number, limit: number): AppError {
  const figures = `${sizeText(used)} of ${sizeText(limit)}`
  return new AppError('QUEUE_FULL', `the queue (Redis) uses ${figures}; new jobs are taken below 70 % of it`, {
    retryAfterMs: RETRY_MS,
    hint: 'Jobs that were taken go on. Try again when some have ended, remove ended jobs, or give Redis more memory (LAYERD_REDIS_MAXMEMORY).',
    details: { usedBytes: used, limitBytes: limit },
  })
}

import { AppError, isAppError } from '../../lib/errors.ts'

/** What better describes that Redis does not answer, and what to do; undefined where nothing does. */
export type WhyNoRedis = () => Promise<{ detail?: string; hint: string } | undefined>

/** The error, which says more where it is Redis's silence and more is known. */
export async function explained(thrown: unknown, whyNoRedis: WhyNoRedis | undefined): Promise<unknown> {
  if (!isAppError(thrown) || thrown.code !== 'QUEUE_UNAVAILABLE') return thrown
  const why = await whyNoRedis?.()
  if (!why) return thrown
  return new AppError('QUEUE_UNAVAILABLE', why.detail ?? thrown.message, { hint: why.hint, cause: thrown })
}

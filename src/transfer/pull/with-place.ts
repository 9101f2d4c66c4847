import { manifestName, type Reference } from '../../content/reference.ts'
import { type AppError, toAppError, withContext } from '../../lib/errors.ts'

/** What is wrong with the package says where it came from; what is wrong on this side does not. */
export function withPlace(thrown: unknown, reference: Reference): AppError {
  const error = toAppError(thrown)
  const ours = error.side === 'destination' || /^(?:STORE|JOB|QUEUE)_|^INTERNAL$/.test(error.code)
  const { registry, repository } = reference
  return ours
    ? error
    : withContext(error, { side: 'source', upstream: { registry, repository, reference: manifestName(reference) } })
}

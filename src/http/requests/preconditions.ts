import { AppError } from '../../lib/errors.ts'

export interface Preconditions {
  'if-match'?: string | undefined
  'if-none-match'?: string | undefined
}

/**
 * Whether a write may go on over what is there; `etag` undefined: nothing is. Throws PRECONDITION_REQUIRED where something is and
 * the request does not say which it has seen, PRECONDITION_FAILED where it has seen another. Source: RFC 9110 13.1, RFC 6585 3.
 */
export function checkPreconditions(headers: Preconditions, etag: string | undefined, what: string): void {
  const match = headers['if-match']
  const none = headers['if-none-match']
  const fails =
    (match !== undefined && (etag === undefined || !names(match, etag))) ||
    (none !== undefined && etag !== undefined && names(none, etag))
  if (fails) {
    throw new AppError(
      'PRECONDITION_FAILED',
      `${what} ${etag === undefined ? 'is not there' : 'is there, as another'}`,
      {
        hint: 'Read it again (GET), and send its ETag in If-Match.',
      },
    )
  }
  if (match !== undefined || etag === undefined) return
  throw new AppError('PRECONDITION_REQUIRED', `${what} is there, and the request has no If-Match`, {
    hint: 'Read it (GET), and send its ETag in If-Match; * stands for whatever is there.',
  })
}

/** A weak tag is none that a write can go by. */
function names(header: string, etag: string): boolean {
  const tags = header.split(',').map((tag) => tag.trim())
  return tags.includes('*') || tags.includes(etag)
}

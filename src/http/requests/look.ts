import type { FastifyRequest } from 'fastify'
import type { AppError } from '../../lib/errors.ts'

/** A caller waits for it, so it ends before proxies give up on the request. */
export const LOOK_WITHIN_MS = 50_000

/**
 * Runs a look that ends with its caller, with layerd, and after 50 s. What it returns may go on with the signal, without that
 * limit.
 */
export async function lookWithin<T>(
  request: FastifyRequest,
  { closing, tooLate }: { closing: AbortSignal; tooLate: () => AppError },
  look: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(tooLate()), LOOK_WITHIN_MS)
  try {
    return await look(AbortSignal.any([lifeOf(request, closing), late.signal]))
  } finally {
    clearTimeout(timer)
  }
}

/** Aborts when the answer is not to go on: its client has gone, layerd shuts down, or what let the client in has ended. */
export function lifeOf(request: FastifyRequest, closing: AbortSignal): AbortSignal {
  return AbortSignal.any([closing, request.signal, request.accessEnded()])
}

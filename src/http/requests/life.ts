import type { FastifyRequest } from 'fastify'

/** Aborts when the answer is not to go on: its client has gone, layerd shuts down, or what let the client in has ended. */
export function lifeOf(request: FastifyRequest, closing: AbortSignal): AbortSignal {
  return AbortSignal.any([closing, request.signal, request.accessEnded()])
}

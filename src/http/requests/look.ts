import type { FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors.ts'
import { createFairLimiter, type FairLimiter } from '../../lib/queues/fair-limiter.ts'

/** A caller waits for it, so it ends before proxies give up on the request. */
export const LOOK_WITHIN_MS = 50_000

/** Looks of this process, by the names of principals: they take turns. */
export type Looks = FairLimiter

export interface LookLimits {
  /** At once. */
  readonly all: number
  /** Of a caller, where callers have to be known. */
  readonly perPrincipal: number
  /** Those that may wait of a caller. */
  readonly waiting: number
}

/** Each may hold 64 MiB. */
export const LOOK_LIMITS: LookLimits = { all: 32, perPrincipal: 8, waiting: 200 }
const RETRY_AFTER_MS = 5000

export function createLooks({ all, perPrincipal, waiting }: LookLimits, tokensRequired: boolean): Looks {
  return createFairLimiter({
    all,
    perKey: tokensRequired ? perPrincipal : all,
    waitingPerKey: waiting,
    tooMany: (name, found) => tooMany(`${found} looks of "${name}" wait for their turn`),
  })
}

interface LookOptions {
  looks: Looks
  closing: AbortSignal
  tooLate: () => AppError
}

/**
 * Runs a look when it is its caller's turn; it ends with its caller, with layerd, and 50 s after it was asked for. What it
 * returns may go on with the signal, without that limit and without its place. Throws LOOKS_TOO_MANY.
 */
export async function lookWithin<T>(
  request: FastifyRequest,
  { looks, closing, tooLate }: LookOptions,
  look: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController()
  let begun = false
  const timer = setTimeout(() => late.abort(begun ? tooLate() : noTurn(request)), LOOK_WITHIN_MS)
  const signal = AbortSignal.any([lifeOf(request, closing), late.signal])
  const task = async (): Promise<T> => {
    begun = true
    return await look(signal)
  }
  try {
    return await looks.run(request.caller.name, task, signal)
  } finally {
    clearTimeout(timer)
  }
}

function noTurn({ caller: { name } }: FastifyRequest): AppError {
  return tooMany(`no look of "${name}" has ended within ${LOOK_WITHIN_MS / 1000} s, so this one had no turn`)
}

function tooMany(what: string): AppError {
  return new AppError('LOOKS_TOO_MANY', `${what}, and no more are taken`, {
    retryAfterMs: RETRY_AFTER_MS,
    hint: 'Ask when some of them have been answered.',
  })
}

/** Aborts when the answer is not to go on: its client has gone, layerd shuts down, or what let the client in has ended. */
export function lifeOf(request: FastifyRequest, closing: AbortSignal): AbortSignal {
  return AbortSignal.any([closing, request.signal, request.accessEnded()])
}

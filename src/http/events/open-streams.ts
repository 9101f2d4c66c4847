import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors.ts'

/** Streams of events that may be open at once, in this process. */
export interface StreamLimits {
  /** Of a caller, where callers have to be known. */
  readonly perPrincipal: number
  readonly all: number
}

/** 10,000 idle ones were held by a process. */
export const STREAM_LIMITS: StreamLimits = { perPrincipal: 1000, all: 20_000 }
const RETRY_AFTER_MS = 5000

/** Counts the streams that are open, so that one caller does not take all there may be. */
export class OpenStreams {
  readonly #limits: StreamLimits
  readonly #open = new Map<string, number>()
  #all = 0

  constructor(limits: StreamLimits, tokensRequired: boolean) {
    this.#limits = tokensRequired ? limits : { ...limits, perPrincipal: limits.all }
  }

  /** A place for one more, until its answer has ended. Throws STREAMS_TOO_MANY. */
  take({ caller: { name } }: Pick<FastifyRequest, 'caller'>, { raw }: Pick<FastifyReply, 'raw'>): void {
    const open = this.#open.get(name) ?? 0
    if (open >= this.#limits.perPrincipal) throw tooMany(`"${name}" has ${open} streams of events open`)
    if (this.#all >= this.#limits.all) throw tooMany(`${this.#all} streams of events are open`)
    // Its connection may have ended while who asks was looked at.
    if (raw.closed || raw.destroyed) return
    this.#open.set(name, open + 1)
    this.#all += 1
    raw.once('close', () => this.#give(name))
  }

  #give(name: string): void {
    this.#all -= 1
    const left = (this.#open.get(name) ?? 1) - 1
    if (left === 0) this.#open.delete(name)
    else this.#open.set(name, left)
  }
}

function tooMany(what: string): AppError {
  return new AppError('STREAMS_TOO_MANY', `${what}, and no more are taken at once`, {
    retryAfterMs: RETRY_AFTER_MS,
    hint: 'Close those that nobody reads, or ask now and then: GET /v1/jobs/{id} with If-None-Match.',
  })
}

import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError, type ErrorCode } from '../../lib/errors.ts'

/** Answers of a kind that may be under way at once, in this process. */
export interface AnswerLimits {
  /** Of a caller, where callers have to be known. */
  readonly perPrincipal: number
  readonly all: number
}

/** Event streams, followed logs and waits together; 10,000 idle streams were held by a process. */
export const STREAM_LIMITS: AnswerLimits = { perPrincipal: 1000, all: 20_000 }
/** Each has a file open and about 1 MiB of buffers. */
export const DOWNLOAD_LIMITS: AnswerLimits = { perPrincipal: 128, all: 1000 }
const RETRY_AFTER_MS = 5000

interface AnswerKind {
  readonly code: ErrorCode
  readonly what: string
  readonly hint: string
}

const STREAMS: AnswerKind = {
  code: 'STREAMS_TOO_MANY',
  what: 'event streams, followed logs and waits',
  hint: 'Close those that nobody reads, or ask now and then: GET /v1/jobs/{id} with If-None-Match.',
}
const DOWNLOADS: AnswerKind = {
  code: 'DOWNLOADS_TOO_MANY',
  what: 'downloads',
  hint: 'Ask again when one of them has ended, or for more of one archive by each.',
}

type Asking = Pick<FastifyRequest, 'caller'>
type Answering = Pick<FastifyReply, 'raw'>

/** Counts answers that last, so that one caller does not take all there may be. */
export class OpenAnswers {
  readonly #limits: AnswerLimits
  readonly #kind: AnswerKind
  readonly #open = new Map<string, number>()
  #all = 0

  static streams(limits = STREAM_LIMITS, tokensRequired = true): OpenAnswers {
    return new OpenAnswers(STREAMS, limits, tokensRequired)
  }

  static downloads(limits = DOWNLOAD_LIMITS, tokensRequired = true): OpenAnswers {
    return new OpenAnswers(DOWNLOADS, limits, tokensRequired)
  }

  private constructor(kind: AnswerKind, limits: AnswerLimits, tokensRequired: boolean) {
    this.#kind = kind
    this.#limits = tokensRequired ? limits : { ...limits, perPrincipal: limits.all }
  }

  /** A place for one more, until its answer has ended. Throws the code of its kind. */
  take(request: Asking, reply: Answering): void {
    const refusal = this.#refusal(request.caller.name)
    if (refusal !== undefined) throw this.#tooMany(refusal)
    this.#add(request.caller.name, reply)
  }

  /** The same for who can do without. */
  takeIfFree(request: Asking, reply: Answering): boolean {
    if (this.#refusal(request.caller.name) !== undefined) return false
    this.#add(request.caller.name, reply)
    return true
  }

  #refusal(name: string): string | undefined {
    const open = this.#open.get(name) ?? 0
    if (open >= this.#limits.perPrincipal) return `"${name}" has ${open} ${this.#kind.what} open`
    return this.#all >= this.#limits.all ? `${this.#all} ${this.#kind.what} are open` : undefined
  }

  #add(name: string, { raw }: Answering): void {
    // Its connection may have ended while who asks was looked at.
    if (raw.closed || raw.destroyed) return
    this.#open.set(name, (this.#open.get(name) ?? 0) + 1)
    this.#all += 1
    raw.once('close', () => this.#give(name))
  }

  #give(name: string): void {
    this.#all -= 1
    const left = (this.#open.get(name) ?? 1) - 1
    if (left === 0) this.#open.delete(name)
    else this.#open.set(name, left)
  }

  #tooMany(refusal: string): AppError {
    const { code, hint } = this.#kind
    return new AppError(code, `${refusal}, and no more are taken at once`, { retryAfterMs: RETRY_AFTER_MS, hint })
  }
}

import { AppError, isAppError } from '../../../lib/errors.ts'
import type { Mask } from '../../errors/mask.ts'
import { parseRetryAfter } from '../../errors/retry-after.ts'
import type { CloudAnswer } from '../../request/cloud-call.ts'

/** Which password could not be had. */
export interface Wanted {
  /** "an ECR password". */
  readonly what: string
  readonly registry: string
  readonly mask: Mask
  /** What to do where a right is missing. Default: that of ECR's passwords. */
  readonly noRight?: string
}

/** What a cloud says beside a status. */
export interface Refusal {
  /** The host that said it. */
  readonly host: string
  readonly status: number | undefined
  /** The cloud's own word: UnrecognizedClientException, invalid_grant. */
  readonly code: string | undefined
  readonly said: string | undefined
  readonly hint: string
  readonly transient?: boolean
  readonly retryAfterMs?: number
  readonly requestId?: string | undefined
}

const MAX_SAID = 300

/** CREDENTIALS_INVALID: what was wanted, where, what was said there, and what to do about it. */
export function refused({ what, registry, mask }: Wanted, refusal: Refusal): AppError {
  const { host, status, code, said, hint, transient, retryAfterMs, requestId } = refusal
  const told = (text: string) => mask.hide(text, { seen: registry }).slice(0, MAX_SAID)
  const word = code === undefined || code === '' ? undefined : told(code).slice(0, 80)
  const words = [status === undefined ? undefined : String(status), word].filter((part) => part !== undefined)
  const answered = words.length === 0 ? '' : ` answered ${words.join(' ')}`
  const why = said === undefined || said === '' ? '' : `: ${told(said)}`
  return new AppError('CREDENTIALS_INVALID', `${what} for ${registry} could not be had: ${host}${answered}${why}`, {
    retry: transient ? 'transient' : 'permanent',
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    hint,
    details: { host, ...(status === undefined ? {} : { status }), ...(word === undefined ? {} : { code: word }) },
    upstream: { registry, ...(requestId === undefined ? {} : { requestId: told(requestId).slice(0, 128) }) },
  })
}

/** There was no answer, or none that is one: as passing as what was in the way. */
export function unanswered({ what, registry }: Wanted, error: unknown): unknown {
  if (!isAppError(error) || error.retry === 'canceled' || error.code === 'CREDENTIALS_INVALID') return error
  const { retry, retryAfterMs, hint, details, upstream } = error
  return new AppError('CREDENTIALS_INVALID', `${what} for ${registry} could not be had: ${error.message}`, {
    retry,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(hint === undefined ? {} : { hint }),
    details: { ...details, because: error.code },
    ...(upstream === undefined ? {} : { upstream }),
    cause: error,
  })
}

/** It answered, and not with what was asked for. Nothing of the answer is told: a token may stand in it. */
export function senseless({ what, registry }: Wanted, host: string, why: string): AppError {
  return new AppError('CREDENTIALS_INVALID', `${what} for ${registry} could not be had: ${host} ${why}`, {
    hint: 'Check what answers there: a proxy or a captive portal may stand between layerd and the cloud.',
    details: { host },
  })
}

/** Statuses that pass by themselves. */
export function passes(status: number): boolean {
  return status >= 500 || status === 429 || status === 408
}

/** A wait that the answer asks for. */
export function waitOf(answer: CloudAnswer, now: number): { retryAfterMs?: number } {
  const retryAfterMs = parseRetryAfter(answer.header('retry-after'), now)
  return retryAfterMs === undefined ? {} : { retryAfterMs }
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

export const CLOCK = "This machine's clock is wrong, or the cloud takes it to be: set it by NTP and try again."

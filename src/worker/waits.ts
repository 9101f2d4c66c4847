import type { Progress } from '../jobs/model/definitions.ts'
import type { AppError } from '../lib/errors.ts'
import { timeOfDay } from '../lib/text.ts'

/** Something of a job that is tried again, and when. */
export interface Wait {
  reason: string
  retryAt: string
}

/** How much of a registry's text stands in a reason. */
const REASON_CHARACTERS = 300

/** `attempt`: of the try to come, from 1 on; `at`: when it is made, ms since the epoch. */
export function waitFor(error: AppError, attempt: number, at: number): Wait {
  const retryAt = new Date(at).toISOString()
  // Free of what would be escaped in JSON: moves.lua takes it out again by its quotes.
  const said = error.message.slice(0, REASON_CHARACTERS).replaceAll(/["\\\p{Cc}]/gu, "'")
  const next = error.code === 'REGISTRY_THROTTLED' ? 'next' : `try ${attempt}`
  return { retryAt, reason: `${said}; ${next} at ${timeOfDay(retryAt)}` }
}

/** What is tried next. */
export function soonest(waits: Iterable<Wait>): Pick<Progress, 'retryAt' | 'reason'> {
  let first: Wait | undefined
  for (const each of waits) if (!first || each.retryAt < first.retryAt) first = each
  return { retryAt: first?.retryAt ?? null, reason: first?.reason ?? null }
}

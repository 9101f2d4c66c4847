import type { AppError } from '../../../lib/errors.ts'
import { CONTROL_RETRY, type RetryPolicy, withRetry } from '../../../lib/retry.ts'
import type { RegistryResponse } from '../../request/transport.ts'
import type { Passage, Send } from './passage.ts'

/**
 * A registry that has never answered is most likely a wrong address: four tries within about four seconds outlast a
 * restart's gap, and a job that cannot succeed still fails at once instead of after CONTROL_RETRY's minute.
 */
const FIRST_CONTACT_RETRY: RetryPolicy = { attempts: 4, baseMs: 500, maxMs: 2000, maxRetryAfterMs: 0 }
const FIRST_CONTACT_MS = 4000
/** What is over before that is nobody's concern. */
const SILENT_MS = 2000
const NO_RETRY: RetryPolicy = { ...FIRST_CONTACT_RETRY, attempts: 1 }

/** Small requests are sent again after passing faults; who sends bulk knows itself what was sent. */
export function retries(passage: Passage, next: Send<Passage>): Promise<RegistryResponse> {
  return passage.request.lane === 'bulk' ? next(passage) : retrying(passage, next)
}

export async function retrying(passage: Passage, next: Send<Passage>): Promise<RegistryResponse> {
  const { sender, request } = passage
  const { clock, reached } = sender.context
  const { signal, onRetry } = request
  const start = clock.now()
  const policy = (error: AppError): RetryPolicy => {
    if (error.code === 'SHUTTING_DOWN') return NO_RETRY
    if (reached.has(sender.registry)) return CONTROL_RETRY
    return clock.now() - start < FIRST_CONTACT_MS ? FIRST_CONTACT_RETRY : NO_RETRY
  }
  let told = false
  const tell = (error: AppError, attempt: number, retryAt: number): void => {
    if (retryAt - start < SILENT_MS) return
    told = true
    sender.onWait?.(passage, { error, attempt: attempt + 1, retryAt })
  }
  const options = { policy, signal, clock, budget: sender.budget, onRetry: onRetry ?? tell }
  try {
    return await withRetry(() => next(passage), options)
  } finally {
    if (told) sender.onWait?.(passage, undefined)
  }
}

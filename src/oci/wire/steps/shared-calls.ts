import { untilAborted } from '../../../lib/abort.ts'
import type { Clock } from '../../../lib/clock.ts'
import { AppError } from '../../../lib/errors.ts'
import { type CallFacts, toldHost } from '../../errors/errors.ts'
import type { HookList } from '../../request/hooks.ts'
import type { WaysByReach } from '../exchanges/ways.ts'
import type { HostPaces } from '../pace/host-pace.ts'

/** For calls that belong to no caller: they are shared, and end by their own time limits. */
export interface SharedCalls {
  ways: WaysByReach
  userAgent: string
  hooks: HookList
  paces: HostPaces
  clock: Clock
  lane: { headersTimeoutMs: number; bodyTimeoutMs: number }
}

/** Ends what takes longer than its limit, ms, unless `unlimited` was called before. Throws REGISTRY_TIMEOUT. */
export async function limited<T>(
  facts: CallFacts,
  limitMs: number,
  work: (signal: AbortSignal, unlimited: () => void) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const stop = () =>
    controller.abort(
      new AppError('REGISTRY_TIMEOUT', `${facts.op}: ${toldHost(facts)} did not answer within ${limitMs} ms`, {
        op: facts.op,
      }),
    )
  const timer = setTimeout(stop, limitMs)
  try {
    // undici lets go of a request only when its connection was made, or was not.
    return await untilAborted(
      work(controller.signal, () => clearTimeout(timer)),
      controller.signal,
    )
  } finally {
    clearTimeout(timer)
  }
}

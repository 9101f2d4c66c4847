import { type Clock, systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import type { Authenticator } from './authenticator.ts'
import { includes } from './grants.ts'
import type { Principal } from './principal.ts'

/** Tells what takes long when the credential that let it in has ended, or lets do less. */
export interface AccessGuard {
  /** Until `stop`. `ended` aborts with UNAUTHENTICATED. */
  watch(principal: Principal): { readonly ended: AbortSignal; stop(): void }
  /** Throws UNAUTHENTICATED where it has ended by now, QUEUE_UNAVAILABLE where nobody can tell. */
  requireCurrent(principal: Principal): Promise<void>
  close(): void
}

interface Watch {
  readonly principal: Principal
  readonly controller: AbortController
  timer?: NodeJS.Timeout | undefined
}

/** What no message tells of is found out after so long. */
const LOOK_AGAIN_MS = 30_000
/** Node's timers count to 2^31 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1

export function createAccessGuard(authenticator: Authenticator, clock: Clock = systemClock): AccessGuard {
  const watches = new Set<Watch>()
  const judge = async (principal: Principal, current = authenticator.current): Promise<boolean> => {
    if (principal.expiresAt !== undefined && principal.expiresAt <= clock.now()) return false
    const now = await current(principal.credential)
    return now !== undefined && now.name === principal.name && includes(now, principal)
  }
  const look = async (watch: Watch, current = authenticator.current): Promise<void> => {
    // Nobody can tell while what it is kept in does not answer: looked at again when that is back.
    const isCurrent = await judge(watch.principal, current).catch(() => true)
    if (!isCurrent) watch.controller.abort(accessEnded())
  }
  const lookAtAll = (): void => {
    const asked = new Map<string, ReturnType<Authenticator['current']>>()
    const once: Authenticator['current'] = (credential) => {
      const answer = asked.get(credential) ?? authenticator.current(credential)
      asked.set(credential, answer)
      return answer
    }
    for (const watch of watches) void look(watch, once)
  }
  const setTimer = (watch: Watch): void => {
    const { expiresAt } = watch.principal
    if (expiresAt === undefined) return
    const onTime = (): void => {
      void look(watch)
      setTimer(watch)
    }
    const left = Math.max(1, expiresAt - clock.now())
    watch.timer = watch.controller.signal.aborted ? undefined : setTimeout(onTime, Math.min(left, MAX_TIMER_MS)).unref()
  }
  const stopListening = authenticator.onChange(lookAtAll)
  const again = setInterval(lookAtAll, LOOK_AGAIN_MS).unref()

  return {
    watch(principal) {
      const watch: Watch = { principal, controller: new AbortController() }
      const { signal: ended } = watch.controller
      if (!authenticator.required) return { ended, stop: () => undefined }
      watches.add(watch)
      setTimer(watch)
      // It may have ended since it let in, before anybody watched.
      void look(watch)
      const stop = (): void => {
        watches.delete(watch)
        clearTimeout(watch.timer)
      }
      ended.addEventListener('abort', stop, { once: true })
      return { ended, stop }
    },
    async requireCurrent(principal) {
      if (authenticator.required && !(await judge(principal))) throw accessEnded()
    },
    close() {
      stopListening()
      clearInterval(again)
      for (const watch of watches) clearTimeout(watch.timer)
      watches.clear()
    },
  }
}

function accessEnded(): AppError {
  return new AppError('UNAUTHENTICATED', 'what let this request in was taken away or has expired meanwhile', {
    hint: 'Send it again with a token that is valid.',
  })
}

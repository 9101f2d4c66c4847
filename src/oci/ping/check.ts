import { untilAborted } from '../../lib/abort.ts'
import { AppError, isAppError } from '../../lib/errors.ts'

/** `warning`: it works, or nobody can tell, and somebody should look at it. `skipped`: not looked at, `detail` says why. */
export type CheckState = 'ok' | 'warning' | 'failed' | 'skipped'

/** What a check looks at, in the order in which one is of use only where those before it found nothing wrong. */
export type CheckName =
  | 'name'
  | 'outbound'
  | 'proxy'
  | 'route'
  | 'tls'
  | 'api'
  | 'kind'
  | 'clock'
  | 'limits'
  | 'login'
  | 'pull'
  | 'push'

export interface Finding {
  readonly state: CheckState
  /** One sentence for people, without a secret. */
  readonly detail: string
  /** What to do about it. */
  readonly hint?: string
}

export interface Check extends Finding {
  readonly name: CheckName
}

/** A finding, and what later checks go on with; without a value they cannot. */
export interface Looked<T = undefined> extends Finding {
  readonly value?: T
}

/** The checks of one ping, in the order in which they were begun. */
export interface CheckList {
  readonly checks: readonly Check[]
  /**
   * Looks for `limitMs` at most. What is thrown as an error of ours is what was found. Undefined where there is nothing to go on
   * with. Throws only when the caller has gone.
   */
  run<T>(name: CheckName, limitMs: number, look: (signal: AbortSignal) => Promise<Looked<T>>): Promise<T | undefined>
  add(name: CheckName, finding: Finding): void
  skip(names: readonly CheckName[], detail: string): void
}

export interface CheckListOptions {
  /** Of who waits for the answer. */
  signal: AbortSignal
  /** For all checks together, ms. */
  withinMs: number
}

export function createCheckList({ signal, withinMs }: CheckListOptions): CheckList {
  const checks: Check[] = []
  const endsAt = performance.now() + withinMs
  const add = (name: CheckName, { state, detail, hint }: Finding): void =>
    void checks.push({ name, state, detail, ...(hint === undefined ? {} : { hint }) })
  return {
    checks,
    add,
    skip(names, detail) {
      for (const name of names) add(name, { state: 'skipped', detail })
    },
    async run(name, limitMs, look) {
      const ms = Math.min(limitMs, Math.floor(endsAt - performance.now()))
      if (ms <= 0) {
        add(name, { state: 'skipped', detail: NO_TIME })
        return undefined
      }
      const late = new AbortController()
      const timer = setTimeout(() => late.abort(tooLate(ms)), ms)
      const either = AbortSignal.any([signal, late.signal])
      try {
        const looked = await untilAborted(look(either), either)
        add(name, looked)
        return looked.value
      } catch (error) {
        if (signal.aborted || !isAppError(error)) throw error
        add(name, failure(error))
        return undefined
      } finally {
        clearTimeout(timer)
        // What is still under way is nobody's.
        late.abort(tooLate(ms))
      }
    },
  }
}

const NO_TIME = 'the checks before it took all the time that there is'

function tooLate(ms: number): AppError {
  return new AppError('REGISTRY_TIMEOUT', `there was no answer within ${Math.ceil(ms / 1000)} s`, {
    hint: 'Look whether a firewall drops what is sent, and whether the registry or what stands before it hangs.',
  })
}

function failure({ message, hint }: AppError): Finding {
  return { state: 'failed', detail: message, ...(hint === undefined ? {} : { hint }) }
}

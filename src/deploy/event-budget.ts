/** Log events of one program: so many at once, so many a second, and so many bytes in all. What goes beyond stands in its file alone. */
const BURST = 500
const PER_SECOND = 100
/** Kept back for what is more than information. */
const RESERVE = 100
const BYTES = 10 * 1024 ** 2

export interface EventBudget {
  /** Whether a line may be told as an event. */
  take(line: { readonly level: string; readonly message: string }): boolean
  /** Lines that were not. */
  readonly leftOut: number
}

/** `now`: ms of a clock that never goes back. */
export function createEventBudget(now: () => number = () => performance.now()): EventBudget {
  let tokens = BURST
  let at = now()
  let bytes = 0
  let leftOut = 0
  return {
    take({ level, message }) {
      const time = now()
      tokens = Math.min(BURST, tokens + ((time - at) / 1000) * PER_SECOND)
      at = time
      const least = level === 'warn' || level === 'error' ? 1 : RESERVE
      const size = Buffer.byteLength(message)
      if (tokens < least || bytes + size > BYTES) {
        leftOut += 1
        return false
      }
      tokens -= 1
      bytes += size
      return true
    },
    get leftOut() {
      return leftOut
    },
  }
}

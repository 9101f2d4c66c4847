/** Whether a request that comes at that time (ms) is let in. */
export type RequestLimit = (now: number) => boolean

/** So many in each whole second. */
export function fixedWindow(perSecond: number, windowMs = 1000): RequestLimit {
  let window = -1
  let count = 0
  return (now) => {
    const current = Math.floor(now / windowMs)
    if (current !== window) count = 0
    window = current
    if (count >= perSecond) return false
    count += 1
    return true
  }
}

/** So many at once, and so many more a second. */
export function tokenBucket(perSecond: number, burst = perSecond): RequestLimit {
  let tokens = burst
  let last: number | undefined
  return (now) => {
    tokens = Math.min(burst, tokens + ((now - (last ?? now)) * perSecond) / 1000)
    last = now
    if (tokens < 1) return false
    tokens -= 1
    return true
  }
}

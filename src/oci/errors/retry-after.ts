/** Retry-After in milliseconds from now: seconds or an HTTP date. Undefined when absent or unreadable. Source: RFC 9110 10.2.3. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  const text = value?.trim()
  if (!text) return undefined
  if (/^\d+(\.\d+)?$/.test(text)) {
    const ms = Math.ceil(Number(text) * 1000)
    return Number.isSafeInteger(ms) ? ms : Number.MAX_SAFE_INTEGER
  }
  // Date.parse reads far more than HTTP dates ("-5" is a year), so the shape is checked first.
  if (!/^[A-Za-z]{3,9},? /.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

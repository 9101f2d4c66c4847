const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Whether a request by this method changes nothing. Source: RFC 9110 9.2.1. */
export function isSafe(method: string): boolean {
  return SAFE.has(method)
}

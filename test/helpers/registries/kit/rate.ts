import { type Answer, type RecordedRequest, refusalAnswer } from './exchange.ts'
import type { RegistryWays } from './ways.ts'

export interface Rate {
  refuse(record: RecordedRequest): Answer | undefined
  headers(record: RecordedRequest): Record<string, string>
}

/** Remaining calls that a registry tells. Source: registries.md 20.1 (7) and 20.6 (9). */
export function createRate(ways: RegistryWays['rate'], now: () => number): Rate {
  const window = { until: 0, left: 0 }
  if (!ways) return { refuse: () => undefined, headers: () => ({}) }
  const { kind, limit, windowMs, told = true } = ways
  // Docker Hub counts manifests that are fetched, not those that are looked for.
  const counts = ({ method, path }: RecordedRequest) =>
    kind === 'acr' || (method === 'GET' && path.includes('/manifests/'))
  const refusal = refusalAnswer({
    status: 429,
    code: 'TOOMANYREQUESTS',
    message: kind === 'hub' ? 'You have reached your pull rate limit.' : 'too many requests',
    ...(kind === 'hub' ? {} : { headers: { 'retry-after': '1' } }),
  })
  return {
    refuse(record) {
      if (!counts(record)) return undefined
      if (now() >= window.until) Object.assign(window, { until: now() + windowMs, left: limit })
      if (window.left === 0) return refusal
      window.left -= 1
      return undefined
    },
    headers(record) {
      if (!told) return {}
      if (kind === 'acr') return { 'x-ms-ratelimit-remaining-calls-per-second': String(window.left) }
      if (!record.path.includes('/manifests/')) return {}
      const seconds = windowMs / 1000
      return {
        'ratelimit-limit': `${limit};w=${seconds}`,
        'ratelimit-remaining': `${window.until === 0 ? limit : window.left};w=${seconds}`,
        'docker-ratelimit-source': '203.0.113.7',
      }
    },
  }
}

import type { Clock } from '../../lib/clock.ts'
import { type ErrorCode, isAppError } from '../../lib/errors.ts'

/** Mirrors that nobody answered at lately: the next request would wait as long for nothing. */
export interface MirrorRests {
  has(mirror: string): boolean
  /** After a failure of any kind; those without an answer count. */
  failed(mirror: string, error: unknown): void
}

const REST_MS = 60_000
const NOBODY_THERE = new Set<ErrorCode>([
  'REGISTRY_UNREACHABLE',
  'REGISTRY_UNKNOWN_HOST',
  'REGISTRY_TIMEOUT',
  'REGISTRY_NOT_ALLOWED',
])
const shared = new WeakMap<object, MirrorRests>()

/** Those of all who share these connections. */
export function restsOf(connections: object, clock: Clock): MirrorRests {
  const rests = shared.get(connections) ?? createRests(clock)
  shared.set(connections, rests)
  return rests
}

function createRests(clock: Clock): MirrorRests {
  const until = new Map<string, number>()
  return {
    has(mirror) {
      const end = until.get(mirror)
      if (end !== undefined && end <= clock.now()) until.delete(mirror)
      return until.has(mirror)
    },
    failed(mirror, error) {
      if (isAppError(error) && NOBODY_THERE.has(error.code)) until.set(mirror, clock.now() + REST_MS)
    },
  }
}

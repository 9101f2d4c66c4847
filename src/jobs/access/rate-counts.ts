import { setTimeout as delay } from 'node:timers/promises'
import type { RateCounter } from '../../access/rates.ts'
import type { AccessConnection } from './connection.ts'

/** A request waits no longer for it. */
const PATIENCE_MS = 500
/** After a failure nobody is asked for so long, so that requests do not wait one after the other. */
const AWAY_MS = 1000

/** One script each, in Redis. */
export function createRateCounts({ scripts, keys }: AccessConnection): RateCounter {
  let awayUntil = 0
  const inTime = async (answer: Promise<number[]>): Promise<number[]> => {
    const late = new AbortController()
    const silence = delay(PATIENCE_MS, undefined, { signal: late.signal, ref: false })
    try {
      const found = await Promise.race([answer, silence.catch(() => undefined)])
      if (found) return found
      throw new Error('Redis does not answer in time')
    } catch (error) {
      awayUntil = performance.now() + AWAY_MS
      throw error
    } finally {
      answer.catch(() => undefined)
      late.abort()
    }
  }
  return {
    async count(key, { windowMs, max, mostMs = 0 }) {
      if (performance.now() < awayUntil) throw new Error('Redis did not answer a moment ago')
      const [current = 0, ttlMs = 0] = await inTime(scripts.numbers('rate', keys.rate(key), [windowMs, max, mostMs]))
      return { current, ttlMs }
    },
  }
}

import type { KeptLink, LinkRecords } from '../../access/links.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { AppError } from '../../lib/errors.ts'
import { guarded } from '../redis/redis.ts'
import type { AccessConnection } from './connection.ts'

export interface LinkRecordsOptions {
  clock?: Pick<Clock, 'now'>
  /** Most open links of one owner. Default 1,000. */
  most?: number
}

const MOST = 1000
/** Of one owner's links, were all as large as the one that is added: the choice and the credential of some have kilobytes. */
const MOST_BYTES = 16 * 2 ** 20

/** Links to downloads in Redis. Calls throw QUEUE_UNAVAILABLE. */
export function createLinkRecords(
  { redis, scripts, keys }: AccessConnection,
  { clock = systemClock, most = MOST }: LinkRecordsOptions = {},
): LinkRecords {
  return {
    async add(link) {
      const { id, owner, expiresAt } = link
      const text = JSON.stringify(link)
      const allowed = Math.min(most, Math.floor(MOST_BYTES / text.length))
      const args = [keys.link(id), text, clock.now(), expiresAt, allowed]
      const waitMs = await guarded(() => scripts.other('add-link', keys.linksOf(owner), args))
      if (waitMs > 0) throw tooMany(owner, { most: allowed, waitMs })
    },
    async get(id) {
      const text = await guarded(() => redis.get(keys.link(id)))
      return text === null ? undefined : (JSON.parse(text) as KeptLink)
    },
  }
}

function tooMany(owner: string, { most, waitMs }: { most: number; waitMs: number }): AppError {
  return new AppError('LINKS_TOO_MANY', `"${owner}" has as many download links open as may be of this size: ${most}`, {
    retryAfterMs: waitMs,
    hint: 'Wait for the first of them to expire, and make them for a shorter time (expiresInSeconds).',
    details: { most },
  })
}

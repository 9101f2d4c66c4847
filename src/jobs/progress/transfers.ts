import type { Redis } from 'ioredis'
import type { Transfer } from '../model/definitions.ts'
import type { Keys } from '../redis/keys.ts'
import { formatToken, invalidToken } from '../record/listing.ts'
import type { Page, PageOf } from '../model/requests.ts'

/** A page of a job's rows, in the order in which they appeared. */
export async function listTransfers(redis: Redis, keys: Keys, id: string, page: Page): Promise<PageOf<Transfer>> {
  const size = Math.min(200, Math.max(1, Math.trunc(page.size)))
  const start = page.token === undefined ? 0 : parseOffset(page.token)
  // One more than the page, to know whether there is another.
  const digests = await redis.lrange(keys.transferOrder(id), start, start + size)
  const items = await readTransfers(redis, keys, id, digests.slice(0, size))
  return { items, ...(digests.length > size ? { nextPageToken: formatToken(String(start + size)) } : {}) }
}

export async function allTransfers(redis: Redis, keys: Keys, id: string): Promise<Transfer[]> {
  return readTransfers(redis, keys, id, await redis.lrange(keys.transferOrder(id), 0, -1))
}

async function readTransfers(redis: Redis, keys: Keys, id: string, digests: readonly string[]): Promise<Transfer[]> {
  if (digests.length === 0) return []
  const rows = await redis.hmget(keys.transfers(id), ...digests)
  return rows.filter((row) => row !== null).map((row) => JSON.parse(row) as Transfer)
}

function parseOffset(token: string): number {
  const text = Buffer.from(token, 'base64url').toString()
  if (!/^[0-9]{1,9}$/.test(text)) throw invalidToken()
  return Number(text)
}

import type { Redis } from 'ioredis'
import type { JobLogLine } from '../model/definitions.ts'
import type { Keys } from '../redis/keys.ts'

/** A line with its place in the log. */
export interface PlacedLine {
  id: string
  line: JobLogLine
}

export interface LogRange {
  after?: string | undefined
  limit: number
}

/** Before every id that Redis gives. */
const BEGINNING = '0-0'

/** Lines after the place `after` (exclusive; default all), oldest first, at most `limit`. Scripts write them (scripts/jobs/record.lua). */
export async function readJobLog(
  redis: Redis,
  keys: Keys,
  id: string,
  { after = BEGINNING, limit }: LogRange,
): Promise<PlacedLine[]> {
  const entries = await redis.xrange(keys.log(id), `(${after}`, '+', 'COUNT', limit)
  return entries.map(([at, fields]) => ({ id: at, line: JSON.parse(fields[1] ?? '') as JobLogLine }))
}

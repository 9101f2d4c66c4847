import type { CommandContext } from './commands.ts'
import { SEALED_HEAD } from '../record/credentials.ts'
import { pipelineResults } from '../redis/redis.ts'

const SCANNED = 1000

/** Jobs that have not ended and whose credentials are sealed under an older key. Looks at all keys of Redis, a thousand at a time. */
export async function jobsUnderOlderKeys({ redis, keys, vault }: CommandContext): Promise<number> {
  let cursor = '0'
  let jobs = 0
  do {
    const [next, found] = await redis.scan(cursor, 'MATCH', keys.credentials('*'), 'COUNT', SCANNED)
    cursor = next
    const read = redis.pipeline()
    for (const key of found) read.getrange(key, 0, SEALED_HEAD - 1)
    const heads = pipelineResults(await read.exec()) as string[]
    jobs += heads.filter((head) => head !== '' && !vault.isNewest(head)).length
  } while (cursor !== '0')
  return jobs
}

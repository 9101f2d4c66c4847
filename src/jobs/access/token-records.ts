import { randomUUID } from 'node:crypto'
import { type EndedToken, type KeptToken, MAX_TOKENS, type TokenRecords } from '../../access/issued-tokens.ts'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createKeys } from '../redis/keys.ts'
import { type ConnectionRole, connectRedis, guarded, pipelineResults, type RedisTarget } from '../redis/redis.ts'
import { createScripts } from '../redis/scripts.ts'
import { createSubscriber } from '../redis/subscriber.ts'

export interface TokenRecordsOptions {
  redis: RedisTarget
  role: ConnectionRole
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  logger?: Logger
}

/** Of `add`, by what the script answers. */
const ADDED = { '1': 'done', '0': 'changed', '-1': 'full' } as const

/** Issued tokens in Redis. Opens a connection of its own, and one to hear of changes. Calls throw QUEUE_UNAVAILABLE. */
export function createTokenRecords(options: TokenRecordsOptions): TokenRecords & { close(): void } {
  const { logger = silentLogger } = options
  const redis = connectRedis(options.redis, { role: options.role, name: 'layerd-tokens', logger })
  const scripts = createScripts(redis)
  const { tokens: key } = createKeys(options.prefix)
  const subscriber = createSubscriber(options.redis, { name: 'layerd-tokens-ended', logger })
  const run = (args: ReadonlyArray<string | number>) => guarded(() => scripts.other('tokens', key, args))
  return {
    async get(id) {
      // '' is the version.
      const text = id === '' ? null : await guarded(() => redis.hget(key, id))
      return text === null ? undefined : (JSON.parse(text) as KeptToken)
    },
    async read() {
      // No MULTI, which a Redis without memory refuses. In this order: one that is taken away meanwhile shows in both, never in none.
      const looks = redis.pipeline().hgetall(key).hgetall(`${key}:used`).hgetall(`${key}:ended`)
      const [kept, used, gone] = await guarded(async () => pipelineResults(await looks.exec()))
      const { '': version = '', ...texts } = kept as Record<string, string>
      return {
        version,
        tokens: Object.values(texts).map((text) => {
          const token = JSON.parse(text) as KeptToken
          return { ...token, lastUsedAt: (used as Record<string, string>)[token.id] ?? null }
        }),
        ended: Object.values(gone as Record<string, string>).map((text) => JSON.parse(text) as EndedToken),
      }
    },
    async add(token, { version, drop }) {
      const done = await run(['add', token.id, JSON.stringify(token), version, randomUUID(), MAX_TOKENS, ...drop])
      return ADDED[`${done as 1 | 0 | -1}`]
    },
    remove: async (ended, drop) =>
      (await run(['remove', ended.id, JSON.stringify(ended), '', randomUUID(), 0, ...drop])) === 1,
    noteUse: async (id, time) => void (await run(['use', id, time])),
    onChange(listener) {
      const { stop } = subscriber.listen(key, { onMessage: listener, onGap: listener })
      return () => void stop()
    },
    close() {
      redis.disconnect()
      void subscriber.close()
    },
  }
}

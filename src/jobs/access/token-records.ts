import { randomUUID } from 'node:crypto'
import { type EndedToken, type KeptToken, MAX_TOKENS, type TokenRecords } from '../../access/issued-tokens.ts'
import { guarded, pipelineResults } from '../redis/redis.ts'
import type { AccessConnection } from './connection.ts'

/** Of `add`, by what the script answers. */
const ADDED = { '1': 'done', '0': 'changed', '-1': 'full' } as const

/** Issued tokens in Redis. Calls throw QUEUE_UNAVAILABLE. */
export function createTokenRecords({ redis, scripts, keys, onEnded }: AccessConnection): TokenRecords {
  const { tokens: key } = keys
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
    onChange: (listener) => onEnded(key, listener),
  }
}

import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { AppError } from '../../lib/errors.ts'
import { guarded } from './redis.ts'
import { createScripts, type Scripts } from './scripts.ts'

/** `full`: there are as many as may be. */
export type Replaced = 'done' | 'changed' | 'full'

/**
 * Writes (undefined: removes) a record of a hash where what lies there still is `before`; `text` is a record as it lies in Redis.
 * Throws QUEUE_UNAVAILABLE.
 */
export async function replaceKept<T extends { readonly text: string }>(
  scripts: Scripts,
  { key, most }: { key: string; most: number },
  { name, before, next }: { name: string; before: T | undefined; next: T | undefined },
  { script, more }: Further = { script: 'replace-kept', more: [] },
): Promise<Replaced> {
  const args = [name, before?.text ?? '', next?.text ?? '', most, randomUUID(), ...more]
  const done = await guarded(() => scripts.other(script, key, args))
  if (done === 1) return 'done'
  return done === 0 ? 'changed' : 'full'
}

/** What is written in the same step. */
interface Further {
  script: 'replace-kept' | 'system/replace-registry'
  more: ReadonlyArray<string | number>
}

/** Records that are kept in a hash, by name; field '' is another with each write. Calls throw QUEUE_UNAVAILABLE. */
export interface KeptHash<T> {
  /** By name. Read from Redis where anything was written since the last time. */
  all(): Promise<readonly T[]>
  get(name: string): Promise<T | undefined>
  replace(name: string, before: T | undefined, next: T | undefined): Promise<Replaced>
}

/** `most`: as many as may be; `parse`: what lies in Redis of one. */
export function keptHash<T extends { readonly name: string; readonly text: string }>(
  redis: Redis,
  { key, most, parse }: { key: string; most: number; parse: (text: string) => T },
): KeptHash<T> {
  const scripts = createScripts(redis)
  let version: string | null = null
  let known: readonly T[] = []
  return {
    all: () =>
      guarded(async () => {
        if ((await redis.hget(key, '')) === version) return known
        const { '': newest = null, ...fields } = await redis.hgetall(key)
        const read = Object.values(fields)
          .map(parse)
          .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        version = newest
        known = read
        return read
      }),
    async get(name) {
      const text = await guarded(() => redis.hget(key, name))
      return text === null ? undefined : parse(text)
    },
    replace: (name, before, next) => replaceKept(scripts, { key, most }, { name, before, next }),
  }
}

/** Of `what`, which was to be written; `most`: as many as may be, of what. Throws PRECONDITION_FAILED, REQUEST_INVALID. */
export function requireDone(done: Replaced, { what, most }: { what: string; most: string }): void {
  if (done === 'changed') throw changedMeanwhile(what)
  if (done === 'done') return
  throw new AppError('REQUEST_INVALID', `more than ${most} are not kept`, {
    hint: 'Remove some that nobody uses (DELETE).',
  })
}

export function changedMeanwhile(what: string): AppError {
  return new AppError('PRECONDITION_FAILED', `${what} is not what the request takes it for`, {
    hint: 'Read it again (GET), and send its ETag in If-Match.',
  })
}

import type { Keys } from '../redis/keys.ts'
import { guarded } from '../redis/redis.ts'
import type { Scripts } from '../redis/scripts.ts'

/** One that has told nothing for so long is dead, and another may begin. */
const SILENCE_MS = 30_000

/** A check of the store, as its process told of it. */
export interface KeptCheck<T> {
  readonly id: string
  readonly told: T
  /** Its process gave a sign within the last 30 s, and it has not ended. */
  readonly lives: boolean
  /** Somebody asked it to end. */
  readonly isToStop: boolean
}

/** The check of the store: one at a time in all of layerd, the last one is kept. `T` goes as JSON. Calls throw QUEUE_UNAVAILABLE. */
export interface StoreCheckRecords<T> {
  get(): Promise<KeptCheck<T> | undefined>
  /** The one that lives where there is one, else this. */
  begin(id: string, told: T): Promise<KeptCheck<T> | undefined>
  /** A sign of life. Gives another one where that has begun since. */
  tell(id: string, told: T, how: { ended: boolean }): Promise<KeptCheck<T> | undefined>
  stop(): Promise<KeptCheck<T> | undefined>
}

export function createStoreCheckRecords<T>({
  keys,
  scripts,
}: {
  keys: Pick<Keys, 'storeCheck'>
  scripts: Pick<Scripts, 'words'>
}): StoreCheckRecords<T> {
  const ask = (what: string, id = '', told?: T, ended = false) =>
    guarded(async () => {
      const args = [what, id, told === undefined ? '' : JSON.stringify(told), ended ? 1 : 0, SILENCE_MS]
      const [found, text = '{}', lives, stop] = await scripts.words('system/store-check', keys.storeCheck, args)
      if (found === undefined) return undefined
      return { id: found, told: JSON.parse(text) as T, lives: lives === '1', isToStop: stop === '1' }
    })
  return {
    get: () => ask('get'),
    begin: (id, told) => ask('begin', id, told),
    tell: (id, told, { ended }) => ask('tell', id, told, ended),
    stop: () => ask('stop'),
  }
}

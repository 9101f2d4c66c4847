import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Clock } from '../../lib/clock.ts'
import type { CatalogueSettings, CatalogueSource } from '../model/catalogue.ts'
import { changedMeanwhile, keptHash, requireDone } from '../redis/kept-hash.ts'
import type { Keys } from '../redis/keys.ts'

/** Which registries are in the catalogue. Calls throw QUEUE_UNAVAILABLE. */
export interface CatalogueSources {
  /** By host. */
  list(): Promise<readonly CatalogueSource[]>
  get(host: string): Promise<CatalogueSource | undefined>
  /** Writes it where `seen` (undefined: none) still is what is kept, else throws PRECONDITION_FAILED. */
  put(host: string, settings: CatalogueSettings, seen: CatalogueSource | undefined): Promise<CatalogueSource>
  /** Throws PRECONDITION_FAILED. */
  remove(host: string, seen: CatalogueSource): Promise<void>
}

const MAX_SOURCES = 100

type Kept = CatalogueSource & {
  readonly name: string
  /** As it lies in Redis. */
  readonly text: string
}

export function createCatalogueSources(redis: Redis, { keys, clock }: { keys: Keys; clock: Clock }): CatalogueSources {
  const table = keptHash(redis, { key: keys.catalogue, most: MAX_SOURCES, parse: parsed })
  const replace = async (host: string, seen: CatalogueSource | undefined, next: Kept | undefined) => {
    const what = `what the catalogue is told of ${host}`
    const before = await table.get(host)
    if (before?.revision !== seen?.revision) throw changedMeanwhile(what)
    requireDone(await table.replace(host, before, next), { what, most: `${MAX_SOURCES} registries of the catalogue` })
  }
  return {
    list: async () => (await table.all()).map(told),
    async get(host) {
      const one = await table.get(host)
      return one && told(one)
    },
    async put(host, { source, repositories, refreshSeconds }, seen) {
      const updatedAt = new Date(clock.now()).toISOString()
      const kept = { host, source, repositories, refreshSeconds, updatedAt, revision: randomUUID() }
      const next = parsed(JSON.stringify(kept))
      await replace(host, seen, next)
      return told(next)
    },
    remove: (host, seen) => replace(host, seen, undefined),
  }
}

function parsed(text: string): Kept {
  const source = JSON.parse(text) as CatalogueSource
  return { ...source, name: source.host, text }
}

function told({ text: _text, name: _name, ...source }: Kept): CatalogueSource {
  return source
}

import { type Clock, systemClock } from '../../lib/clock.ts'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createKeys } from '../redis/keys.ts'
import { type ConnectionRole, connectRedis, type RedisTarget } from '../redis/redis.ts'
import { createSubscriber } from '../redis/subscriber.ts'
import { type CatalogueContent, createCatalogueContent } from './catalogue-content.ts'
import { type CatalogueSources, createCatalogueSources } from './catalogue-sources.ts'
import { type CatalogueNews, type CatalogueWork, createCatalogueNews, createCatalogueWork } from './catalogue-work.ts'

/** The catalogue as it lies in Redis. docs/adr/0033. */
export interface CatalogueRecords {
  readonly sources: CatalogueSources
  readonly content: CatalogueContent
  readonly work: CatalogueWork
  readonly news: CatalogueNews
  /** Tells when there is something to do, and when that may have been missed. Opens one more connection. */
  listen(onWork: () => void): void
  close(): Promise<void>
}

export interface CatalogueRecordsOptions {
  redis: RedisTarget
  role: ConnectionRole
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  logger?: Logger
  clock?: Clock
}

/** Opens a connection of its own. */
export function createCatalogueRecords(options: CatalogueRecordsOptions): CatalogueRecords {
  const { logger = silentLogger, clock = systemClock } = options
  const redis = connectRedis(options.redis, { role: options.role, name: 'layerd-catalogue', logger })
  const keys = createKeys(options.prefix)
  const sources = createCatalogueSources(redis, { keys, clock })
  const work = createCatalogueWork(redis, keys)
  let hearing: ReturnType<typeof createSubscriber> | undefined
  return {
    sources,
    content: createCatalogueContent(redis, keys),
    work,
    news: createCatalogueNews({ sources, work }, (error) =>
      logger.warn({ err: error }, 'the catalogue was not told of a change, and finds it later'),
    ),
    listen(onWork) {
      hearing ??= createSubscriber(options.redis, { name: 'layerd-catalogue-signals', logger })
      hearing.listen(keys.catalogue, { onMessage: onWork, onGap: onWork })
    },
    async close() {
      await hearing?.close()
      redis.disconnect()
    },
  }
}

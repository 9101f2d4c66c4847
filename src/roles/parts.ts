import type { Config } from '../config/config.ts'
import type { DataDirectory } from '../daemon/data-directory.ts'
import { redisTarget } from '../daemon/kept-redis.ts'
import { createContentStore, diskReserve } from '../store/content-store.ts'

/** What API and workers make of the settings alike. */
export function queueOptions(config: Config, directory: DataDirectory) {
  return {
    redis: redisTarget(config),
    prefix: config.redisPrefix,
    secretKey: directory.secretKeys,
    registryJobs: config.registryJobs,
    maxHosts: config.maxHosts,
    maxJobs: config.maxJobs,
  }
}

export function openStore(config: Config, { store }: DataDirectory) {
  return createContentStore({
    folder: store,
    keepFree: diskReserve(config.diskReserve),
    ...(config.storeMaxBytes === undefined ? {} : { maxBytes: config.storeMaxBytes }),
  })
}

import type { Config } from '../config/config.ts'
import type { DataDirectory } from '../daemon/data-directory.ts'
import { redisTarget } from '../daemon/kept-redis.ts'
import { createContentStore } from '../store/content-store.ts'

/** What API and workers make of the settings alike. */
export function queueOptions(config: Config, directory: DataDirectory) {
  return {
    redis: redisTarget(config),
    prefix: config.redisPrefix,
    secretKey: directory.secretKey,
    registryJobs: config.registryJobs,
  }
}

export function openStore({ storeMaxBytes }: Config, { store }: DataDirectory) {
  return createContentStore({ folder: store, ...(storeMaxBytes === undefined ? {} : { maxBytes: storeMaxBytes }) })
}

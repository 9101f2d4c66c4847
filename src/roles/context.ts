import type { Config } from '../config/config.ts'
import type { DataDirectory } from '../daemon/data-directory.ts'
import { redisTarget } from '../daemon/supervisor.ts'
import type { Logger } from '../lib/logger.ts'
import type { Tracing } from '../tracing/tracing.ts'
import type { answerFigures } from '../metrics/worker-figures.ts'
import { createContentStore } from '../store/content-store.ts'

/** What a role gets from main.ts: its settings and surroundings, so that no role reads `process`. */
export interface RoleContext {
  readonly config: Config
  readonly logger: Logger
  readonly version: string
  /** For what is not ours to define: PATH, Docker's configuration, proxies. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Settles when this process is to end in order, with why: `orphaned` when its supervisor has gone. */
  readonly stop: Promise<NodeJS.Signals | 'orphaned'>
  /** Where OTEL_* asks for traces. */
  readonly tracing: Tracing | undefined
  /** To the supervisor, where this process has one. */
  readonly channel?: Parameters<typeof answerFigures>[0] | undefined
}

/** All of a shutdown but the end of Redis; `docker stop` gives 10 s before it kills. */
export const DRAIN_MS = 8000

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

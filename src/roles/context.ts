import type { Config } from '../config/config.ts'
import type { Logger } from '../lib/logger.ts'
import type { Tracing } from '../tracing/tracing.ts'
import type { Channel } from '../lib/channel.ts'

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
  readonly channel?: Channel | undefined
}

/** All of a shutdown but the end of Redis; `docker stop` gives 10 s before it kills. */
export const DRAIN_MS = 8000

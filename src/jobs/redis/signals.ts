import type { AppError } from '../../lib/errors.ts'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createKeys } from './keys.ts'
import type { RedisTarget } from './redis.ts'
import { jobCanceled, jobPaused } from '../model/stops.ts'
import { createSubscriber } from './subscriber.ts'

/** What wakes a worker before it would have looked by itself. */
export interface WorkerSignals {
  /** Somebody asked to cancel or pause the job: JOB_CANCELED or JOB_PAUSED. */
  stop(jobId: string, reason: AppError): void
  /** A queue host has its first open job. */
  host(host: string): void
  /** The worker of that id was drained, or is to go on. */
  worker(id: string): void
  /** The subscription broke and is back: read requested stops and hosts again. */
  gap(): void
}

export interface SignalOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  logger?: Logger
}

/** Listens until the result is called. While Redis is gone it waits for it, and ends the wait with `gap`. */
export function listenForSignals(options: SignalOptions, signals: WorkerSignals): () => Promise<void> {
  const keys = createKeys(options.prefix)
  const subscriber = createSubscriber(options.redis, { name: 'layerd-signals', logger: options.logger ?? silentLogger })
  subscriber.listen(keys.stop, {
    onMessage(message) {
      const [, kind, id = '', text = ''] = /^(cancel|pause)\|([^|]*)\|(.*)$/s.exec(message) ?? []
      if (kind !== undefined) signals.stop(id, kind === 'cancel' ? jobCanceled(id, text) : jobPaused(id, text))
    },
    onGap: () => signals.gap(),
  })
  subscriber.listen(keys.hosts, { onMessage: (host) => signals.host(host), onGap: () => {} })
  subscriber.listen(keys.workers, { onMessage: (id) => signals.worker(id), onGap: () => {} })
  return () => subscriber.close()
}

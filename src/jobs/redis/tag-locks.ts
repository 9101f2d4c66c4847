import { randomUUID } from 'node:crypto'
import { childController, throwIfAborted } from '../../lib/abort.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { AppError } from '../../lib/errors.ts'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createKeys } from './keys.ts'
import { connectRedis, type RedisTarget } from './redis.ts'
import { createScripts, type Scripts } from './scripts.ts'

/** One writer per tag among all of layerd's processes. */
export interface TagLocks {
  /**
   * Waits for the lock of `reference` (host/repository:tag), runs `task`, frees it. The task's signal aborts with
   * JOB_FENCED when the lock was lost (renewal refused, or Redis gone past its expiry), and with `signal`'s reason.
   */
  withTagLock<T>(reference: string, signal: AbortSignal, task: (signal: AbortSignal) => Promise<T>): Promise<T>
  /**
   * The same for what takes long, at once or not at all: undefined where somebody else has the lock `name`. Who has lost it is told
   * CLUSTER_GRACE_MS before anybody else can have it, as long as what it was for may take to end.
   */
  tryAlone<T>(
    name: string,
    signal: AbortSignal,
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<{ readonly done: T } | undefined>
  close(): Promise<void>
}

export interface TagLockOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  /** How long a dead owner's lock blocks others. Default 15 s; renewed three times in it. */
  expiryMs?: number
  clock?: Clock
  logger?: Logger
}

const DEFAULT_EXPIRY_MS = 15_000
/** Of tryAlone. */
const ALONE_EXPIRY_MS = 30_000
const CLUSTER_GRACE_MS = 20_000
/** Waiters ask again after 50 to 150 ms: an index update takes a few requests, and jitter keeps them apart. */
const POLL_MS = 50
const POLL_JITTER_MS = 100
/** A connection that broke is back within a moment; others must not wait for the expiry because of it. */
const RELEASE_TRIES = 5
const RELEASE_RETRY_MS = 150

/** Opens a connection of its own. While Redis is gone, who waits keeps waiting and who holds has until the expiry. */
export function createTagLocks(options: TagLockOptions): TagLocks {
  const { clock = systemClock, logger = silentLogger, expiryMs = DEFAULT_EXPIRY_MS } = options
  const redis = connectRedis(options.redis, { role: 'api', name: 'layerd-locks', logger })
  const keys = createKeys(options.prefix)
  const scripts = createScripts(redis)

  const { renew, holding } = createHolder({ scripts, clock, logger, expiryMs })
  const acquire = async (lock: Lock, signal: AbortSignal) => {
    // After a try whose answer got lost the lock may be ours already.
    let inDoubt = false
    for (;;) {
      throwIfAborted(signal)
      try {
        if (inDoubt && (await renew(lock))) return
        if ((await redis.set(lock.key, lock.token, 'PX', expiryMs, 'NX')) === 'OK') return
        inDoubt = false
      } catch (error) {
        logger.warn({ err: error, lock: lock.key }, 'asking for a tag lock failed')
        inDoubt = true
      }
      await clock.sleep(POLL_MS + Math.random() * POLL_JITTER_MS, signal)
    }
  }
  return {
    async withTagLock(reference, signal, task) {
      const lock = { key: keys.tagLock(reference), token: randomUUID() }
      await acquire(lock, signal)
      return await holding(lock, { what: reference, expiryMs, signal }, task)
    },
    async tryAlone(name, signal, task) {
      const keptMs = ALONE_EXPIRY_MS + CLUSTER_GRACE_MS
      const lock = { key: keys.aloneLock(name), token: randomUUID(), keptMs }
      // An answer that got lost leaves a lock that nobody has until it expires; whoever waits for it asks again.
      if ((await redis.set(lock.key, lock.token, 'PX', keptMs, 'NX')) !== 'OK') return undefined
      return { done: await holding(lock, { what: name, expiryMs: ALONE_EXPIRY_MS, signal }, task) }
    },
    async close() {
      redis.disconnect()
    },
  }
}

interface HolderOptions {
  scripts: Scripts
  clock: Clock
  logger: Logger
  expiryMs: number
}

/** Keeps a lock that was taken for as long as a task takes. */
function createHolder({ scripts, clock, logger, expiryMs }: HolderOptions) {
  const renew = async ({ key, token, keptMs = expiryMs }: Lock) =>
    (await scripts.other('renew-tag-lock', key, [token, keptMs])) === 1
  const release = async ({ key, token }: Lock) => {
    for (let tries = 1; ; tries += 1) {
      try {
        await scripts.other('release-tag-lock', key, [token])
        return
      } catch (error) {
        if (tries === RELEASE_TRIES) {
          logger.warn({ err: error, lock: key }, 'freeing a tag lock failed; it expires by itself')
          return
        }
      }
      await clock.sleep(RELEASE_RETRY_MS)
    }
  }

  const holding = async <T>(
    lock: Lock,
    { what, signal, ...times }: { what: string; expiryMs: number; signal: AbortSignal },
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    using holder = childController(signal)
    const onLost = () => holder.abort(new AppError('JOB_FENCED', `the lock of ${what} was lost`))
    const stop = keepAlive({ ...times, renew: () => renew(lock), onLost })
    try {
      return await task(holder.signal)
    } finally {
      stop()
      await release(lock)
    }
  }
  return { renew, holding }
}

interface Lock {
  key: string
  token: string
  /** How long Redis keeps it. Default: the expiry. */
  keptMs?: number
}

interface KeepAlive {
  expiryMs: number
  /** False: the lock is another's. A rejection says nothing, and is tried again until the expiry. */
  renew: () => Promise<boolean>
  onLost: () => void
}

/** Renews three times in an expiry; the lock counts as lost when none got through until it must have expired. */
export function keepAlive({ expiryMs, renew, onLost }: KeepAlive): () => void {
  let deadline = setTimeout(lose, expiryMs)
  const timer = setInterval(() => {
    const sentAt = performance.now()
    renew().then(
      (kept) => (kept ? extend(expiryMs - (performance.now() - sentAt)) : lose()),
      () => {},
    )
  }, expiryMs / 3)
  function extend(ms: number): void {
    clearTimeout(deadline)
    if (!stopped) deadline = setTimeout(lose, ms)
  }
  let stopped = false
  function stop(): void {
    stopped = true
    clearTimeout(deadline)
    clearInterval(timer)
  }
  function lose(): void {
    if (!stopped) onLost()
    stop()
  }
  return stop
}

import { randomUUID } from 'node:crypto'
import type { UploadKey } from '../../content/checkpoint.ts'
import type { HeldClaim, TransferClaim, TransferClaims } from '../../content/claims.ts'
import { untilAborted } from '../../lib/abort.ts'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createKeys, type Keys } from '../redis/keys.ts'
import { connectRedis, type RedisTarget } from '../redis/redis.ts'
import { createScripts, type Scripts } from '../redis/scripts.ts'

/** Who moves which blob, among the runs of all processes. */
export interface JobTransferClaims {
  /** As one run sees it: a claim that an earlier run of the same job left is its own. */
  forRun(jobId: string, epoch: number): TransferClaims
  close(): Promise<void>
}

export interface TransferClaimOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  /**
   * How long the claim of an owner that died keeps others waiting, unless its job ends or runs again before. Default
   * 15 s; it is renewed, with the bytes moved, every second.
   */
  expiryMs?: number
  logger?: Logger
}

const DEFAULT_EXPIRY_MS = 15_000
const RENEW_MS = 1000
/**
 * For an hour a finished transfer makes runs look again that had asked the registry before it ended. What they found then
 * may be that old: an archive's files are asked for when its first byte is read.
 */
const DONE_SECONDS = 3600
/** Answers of claim-transfer. */
const FREE = -1
const DONE = -2

interface Run {
  scripts: Scripts
  keys: Keys
  expiryMs: number
  logger: Logger
  jobId: string
  epoch: number
}

/** Opens a connection of its own, which waits for Redis: so do upload checkpoints, and no upload begins without those. */
export function createTransferClaims(options: TransferClaimOptions): JobTransferClaims {
  const { logger = silentLogger, expiryMs = DEFAULT_EXPIRY_MS } = options
  const redis = connectRedis(options.redis, { role: 'worker', name: 'layerd-claims', logger })
  const scripts = createScripts(redis)
  const keys = createKeys(options.prefix)
  return {
    forRun(jobId, epoch) {
      const run: Run = { scripts, keys, expiryMs, logger, jobId, epoch }
      return {
        async take(key, { signal, again }) {
          const token = randomUUID()
          const answer = await untilAborted(ask(run, key, { token, again }), signal)
          return answer === FREE ? hold(run, keyOf(run, key), token) : heldClaim(answer)
        },
        async look(key, { signal }) {
          const answer = await untilAborted(ask(run, key, { token: '', again: false }), signal)
          return answer === FREE ? { state: 'free' } : heldClaim(answer)
        },
      }
    },
    async close() {
      redis.disconnect()
    },
  }
}

function ask(run: Run, key: UploadKey, { token, again }: { token: string; again: boolean }): Promise<number> {
  const { scripts, keys, jobId, epoch, expiryMs } = run
  return scripts.other('claim-transfer', keyOf(run, key), [token, jobId, epoch, expiryMs, again ? 1 : 0, keys.job('')])
}

function heldClaim(answer: number): HeldClaim {
  return answer === DONE ? { state: 'done' } : { state: 'held', offset: answer }
}

function keyOf({ keys }: Run, { registry, repository, digest }: UploadKey): string {
  return keys.transferClaim(registry, repository, digest)
}

/**
 * While Redis is gone nobody can take the claim either, so it is lost only when Redis says so; afterwards the one who
 * asks first has it.
 */
function hold({ scripts, jobId, epoch, expiryMs, logger }: Run, key: string, token: string): TransferClaim {
  const lost = new AbortController()
  let offset = 0
  let watched = false
  let renewal: Promise<void> | undefined
  const renew = async (): Promise<void> => {
    try {
      const kept = await scripts.other('hold-transfer', key, [token, jobId, epoch, expiryMs, offset])
      watched = kept === 2
      if (kept === 0) lost.abort()
    } catch (error) {
      logger.warn({ err: error, claim: key }, 'renewing the claim on a transfer failed')
    }
    renewal = undefined
  }
  const timer = setInterval(
    () => {
      if (!lost.signal.aborted) renewal ??= renew()
    },
    Math.min(RENEW_MS, expiryMs / 3),
  )
  return {
    state: 'taken',
    lost: lost.signal,
    get watched() {
      return watched
    },
    moved(to) {
      offset = to
    },
    async release({ done }) {
      clearInterval(timer)
      // A renewal under way would take the claim again after it was let go.
      await renewal
      try {
        await scripts.other('end-transfer', key, [token, done ? DONE_SECONDS : 0])
      } catch (error) {
        logger.warn({ err: error, claim: key }, 'letting go of the claim on a transfer failed; it expires by itself')
      }
    },
  }
}

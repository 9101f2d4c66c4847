import { ReplyError, Redis, type RedisOptions } from 'ioredis'
import { AppError, isAppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import { redactUrl } from '../../lib/redact.ts'
import { noteReached, tellOutages } from './outages.ts'

/** Where Redis listens: `redis://` or `rediss://`, or a unix socket. */
export type RedisTarget = { url: string } | { socketPath: string }

/**
 * api: calls fail at once or within 1.5 s while Redis is gone. worker: calls wait until it is back and are sent again.
 * starting: like api, but calls wait for the first connection; an attempt that fails ends them.
 */
export type ConnectionRole = 'api' | 'worker' | 'starting'

const CONNECT_TIMEOUT_MS = 1000
const COMMAND_TIMEOUT_MS = 1500
const MAX_RECONNECT_DELAY_MS = 500
/**
 * A connection that says nothing for so long after a command is given up: a machine that has gone sends no reset, and TCP itself
 * would wait for a quarter of an hour. Workers block for a job for 10 s at most.
 */
const SILENCE_MS = { api: 5000, starting: 5000, worker: 20_000 } as const

export interface ConnectOptions {
  role: ConnectionRole
  /** Shown by CLIENT LIST. */
  name?: string
  /** How long nothing may come after a command before the connection is given up. Default by role. */
  silenceMs?: number
  /** Told of outages (outages.ts). Without it nobody is. */
  logger?: Logger
}

/** A connection that comes back by itself; opening it does not wait for Redis. */
export function connectRedis(target: RedisTarget, options: ConnectOptions): Redis {
  const settings = connectionSettings(options)
  const redis = 'url' in target ? new Redis(target.url, settings) : new Redis({ path: target.socketPath, ...settings })
  const where = addressOf(target)
  if (options.logger) tellOutages(redis, { where, logger: options.logger })
  else noteReached(redis, where)
  return redis
}

/** Where it listens, as it may be logged. */
export function addressOf(target: RedisTarget): string {
  return 'url' in target ? redactUrl(target.url) : target.socketPath
}

type Settings = Omit<RedisOptions, 'replyMapping'>

function connectionSettings({ role, name, silenceMs = SILENCE_MS[role] }: ConnectOptions): Settings {
  const common: Settings = {
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepAlive: 10_000,
    retryStrategy: (times) => Math.min(times * 50, MAX_RECONNECT_DELAY_MS),
    socketTimeout: silenceMs,
    // A demoted primary answers READONLY for as long as the connection lives; a new one finds the new primary. 2: and the
    // command is sent there.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? (role === 'worker' ? 2 : 1) : false),
    ...(name === undefined ? {} : { connectionName: name }),
  }
  if (role === 'worker') return { ...common, maxRetriesPerRequest: null, enableOfflineQueue: true }
  return {
    ...common,
    enableOfflineQueue: role === 'starting',
    // 0 and not 1: a command in flight when the connection breaks fails there and is never sent a second time.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    commandTimeout: COMMAND_TIMEOUT_MS,
  }
}

/** Replies of a Redis that is there but cannot serve now: loading, failing over, out of memory or disk. */
const NOT_SERVING = /^(?:LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|OOM|MISCONF|BUSY)\b/

/** Whether Redis refused the command, for now, and did nothing of it. */
export function isNotServing(error: unknown): boolean {
  return error instanceof ReplyError && NOT_SERVING.test((error as Error).message)
}

/** Whether a connection was lost or could not be made; tellOutages says so once for all of them. */
export function isLostConnection(error: Error): boolean {
  return 'syscall' in error || error.message === 'Connection is closed.'
}

/** Runs Redis calls; whatever says that Redis is not there becomes QUEUE_UNAVAILABLE, anything else goes up as it is. */
export async function guarded<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (error) {
    throw translated(error)
  }
}

function translated(error: unknown): unknown {
  if (error instanceof AppError || isProgrammingError(error)) return error
  if (error instanceof ReplyError && !isNotServing(error)) {
    return new AppError('INTERNAL', 'a Redis command failed', { cause: error })
  }
  if (isNotServing(error)) {
    return new AppError('QUEUE_UNAVAILABLE', `the queue cannot work: ${refusalText(error)}`, {
      hint: 'Look at that Redis: its disk (MISCONF), its memory (OOM), or whether it still loads or fails over.',
      cause: error,
    })
  }
  return new AppError('QUEUE_UNAVAILABLE', 'the queue (Redis) does not answer', {
    hint: 'Try again in a few seconds; if it lasts, look whether Redis runs and whether LAYERD_REDIS_URL is right.',
    cause: error,
  })
}

function isProgrammingError(error: unknown): boolean {
  return [TypeError, RangeError, ReferenceError, SyntaxError].some((type) => error instanceof type)
}

/** The results of a pipeline; throws the first error among them. */
export function pipelineResults(results: Array<[Error | null, unknown]> | null): unknown[] {
  if (results === null) throw new AppError('QUEUE_UNAVAILABLE', 'the queue (Redis) dropped a transaction')
  return results.map(([error, value]) => {
    if (error) throw error
    return value
  })
}

/** Why Redis answers no PING within `timeoutMs`; undefined when it does. Never throws. */
export async function troubleOf(redis: Redis, timeoutMs: number): Promise<string | undefined> {
  const silence = `Redis does not answer within ${timeoutMs / 1000} s`
  const late = Promise.withResolvers<string>()
  const timer = setTimeout(() => late.resolve(silence), timeoutMs)
  const answer = redis.ping().then(
    () => undefined,
    (error: unknown) => (isNotServing(error) ? refusalText(error) : silence),
  )
  try {
    return await Promise.race([answer, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

function refusalText(error: unknown): string {
  return `Redis answers "${(error as Error).message.slice(0, 300)}"`
}

/** What better describes that Redis does not answer, and what to do; undefined where nothing does. */
export type WhyNoRedis = () => Promise<{ detail?: string; hint: string } | undefined>

/** The error, which says more where it is Redis's silence and more is known. */
export async function explained(thrown: unknown, whyNoRedis: WhyNoRedis | undefined): Promise<unknown> {
  if (!isAppError(thrown) || thrown.code !== 'QUEUE_UNAVAILABLE') return thrown
  const why = await whyNoRedis?.()
  if (!why) return thrown
  return new AppError('QUEUE_UNAVAILABLE', why.detail ?? thrown.message, { hint: why.hint, cause: thrown })
}

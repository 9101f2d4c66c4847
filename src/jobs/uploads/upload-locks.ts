import { type Clock, systemClock } from '../../lib/clock.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import { AppError } from '../../lib/errors.ts'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { formatOwner, isAlive, isThisHost, newOwner, parseOwner } from '../../lib/processes/owner.ts'
import { createKeys } from '../redis/keys.ts'
import { connectRedis, guarded, type RedisTarget } from '../redis/redis.ts'
import { createScripts } from '../redis/scripts.ts'
import { createSubscriber } from '../redis/subscriber.ts'

/** One writer per upload among all API processes; who comes last is let in, and the one before has to end. */
export interface UploadLocks {
  /**
   * Asks who has it to end, and waits for that. `onWanted` is called, once, when somebody else waits for it. Throws UPLOAD_LOCKED when
   * who has it does not end in time, QUEUE_UNAVAILABLE, and `signal`'s reason.
   */
  acquire(id: string, options: { signal: AbortSignal; onWanted: () => void }): Promise<UploadLock>
  close(): Promise<void>
}

export interface UploadLock {
  /** Whether the one before never said that it has ended, and may run yet: stopped, or on a machine that is out of reach. */
  readonly isDoubtful: boolean
  /** Throws UPLOAD_LOCKED where another may have it by now. Costs nothing: asked before each write. */
  check(): void
  release(): Promise<void>
}

export interface UploadLocksOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  logger?: Logger
  clock?: Clock
  /** How long one that died on another machine keeps others out. Default 15 s; renewed five times in it. */
  expiryMs?: number
  /** How long is waited for one that lives. Default 30 s. */
  patienceMs?: number
}

const EXPIRY_MS = 15_000
const PATIENCE_MS = 30_000
const POLL_MS = 50
const POLL_JITTER_MS = 50
/** A holder is asked anew by each poll; what it did not hear it reads at its next renewal. */
const WANTED_MS = 5000
/** Longer than an upload lasts that nothing comes for. */
const REMEMBERED_MS = 25 * 3_600_000

/** Opens two connections of its own. */
export function createUploadLocks(options: UploadLocksOptions): UploadLocks {
  const { logger = silentLogger, clock = systemClock, expiryMs = EXPIRY_MS, patienceMs = PATIENCE_MS } = options
  const redis = connectRedis(options.redis, { role: 'starting', name: 'layerd-uploads', logger })
  const subscriber = createSubscriber(options.redis, { name: 'layerd-uploads-wanted', logger })
  const keys = createKeys(options.prefix)
  const scripts = createScripts(redis)
  const held = new Map<string, Set<Holding>>()
  subscriber.listen(keys.uploadsWanted, {
    onMessage(id) {
      for (const holding of held.get(id) ?? []) holding.want()
    },
    // What was missed is told by the next renewal.
    onGap: () => undefined,
  })

  const hold = (id: string, { token, sentAt, before, onWanted }: Taken): UploadLock => {
    const ask = async (what: 'renew' | 'release') => {
      const [answer] = await scripts.words('upload-lock', keys.uploadLock(id), [what, token, expiryMs])
      return answer
    }
    const holding = new Holding({ id, expiryMs, sentAt, onWanted, renew: () => ask('renew') })
    held.set(id, (held.get(id) ?? new Set()).add(holding))
    return {
      isDoubtful: before !== '' && !isGone(before),
      check: () => holding.check(),
      async release() {
        holding.end()
        const others = held.get(id)
        others?.delete(holding)
        if (others?.size === 0) held.delete(id)
        await ask('release').catch((error: unknown) => {
          logger.warn({ err: error, upload: id }, 'freeing an upload failed; it is free in a moment by itself')
        })
      },
    }
  }

  return {
    async acquire(id, { signal, onWanted }) {
      const token = formatOwner(newOwner())
      const giveUpAt = clock.now() + patienceMs
      for (let gone = ''; ; ) {
        throwIfAborted(signal)
        const sentAt = performance.now()
        const args = ['take', token, expiryMs, keys.uploadsWanted, id, WANTED_MS, gone, REMEMBERED_MS]
        const [answer, other = ''] = await guarded(() => scripts.words('upload-lock', keys.uploadLock(id), args))
        if (answer === 'taken') return hold(id, { token, sentAt, before: other, onWanted })
        gone = isGone(other) ? other : ''
        if (gone !== '') continue
        if (clock.now() >= giveUpAt) throw locked(id)
        await clock.sleep(POLL_MS + Math.random() * POLL_JITTER_MS, signal)
      }
    },
    async close() {
      redis.disconnect()
      await subscriber.close()
    },
  }
}

interface Taken {
  token: string
  /** performance.now() */
  sentAt: number
  /** The token of one that never said that it has ended. */
  before: string
  onWanted: () => void
}

/** Killed, on this machine: nobody waits for it. Of others nobody knows before their time is over. */
function isGone(token: string): boolean {
  const owner = parseOwner(token)
  return owner !== undefined && isThisHost(owner) && !isAlive(owner, 0)
}

interface HoldingOptions {
  id: string
  expiryMs: number
  /** When what got it was sent. */
  sentAt: number
  renew: () => Promise<string | undefined>
  onWanted: () => void
}

/** Renews five times in an expiry, and counts as lost once none got through for four fifths of it. */
class Holding {
  readonly #options: HoldingOptions
  readonly #timer: NodeJS.Timeout
  /** performance.now() */
  #until: number
  #isWanted = false

  constructor(options: HoldingOptions) {
    this.#options = options
    this.#until = options.sentAt + this.#trustMs
    this.#timer = setInterval(() => void this.#renew(), options.expiryMs / 5)
  }

  get #trustMs(): number {
    return (this.#options.expiryMs * 4) / 5
  }

  check(): void {
    if (performance.now() >= this.#until) throw lost(this.#options.id)
  }

  want(): void {
    if (this.#isWanted) return
    this.#isWanted = true
    this.#options.onWanted()
  }

  end(): void {
    clearInterval(this.#timer)
  }

  async #renew(): Promise<void> {
    const sentAt = performance.now()
    const answer = await this.#options.renew().catch(() => undefined)
    if (answer === 'lost') this.#until = 0
    if (this.#until === 0 || answer === undefined) return
    this.#until = sentAt + this.#trustMs
    if (answer === 'wanted') this.want()
  }
}

function locked(id: string): AppError {
  return new AppError('UPLOAD_LOCKED', `another request still writes to the upload ${id}`, {
    retryAfterMs: 2000,
    hint: 'It was asked to end: try again in a moment.',
  })
}

function lost(id: string): AppError {
  return new AppError('UPLOAD_LOCKED', `another request may write to the upload ${id} by now`, {
    retryAfterMs: 2000,
    hint: 'Ask where it stands (HEAD), and go on from there.',
  })
}

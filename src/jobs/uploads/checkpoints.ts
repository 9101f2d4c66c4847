import type { Redis } from 'ioredis'
import type { SavedUpload, SessionNote, UploadKey, UploadSessionStore } from '../../content/checkpoint.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createVault, type SecretKeys, type Vault } from '../record/credentials.ts'
import { createKeys, type Keys } from '../redis/keys.ts'
import { connectRedis, type RedisTarget } from '../redis/redis.ts'
import type { JobCredentials } from '../model/requests.ts'
import { createScripts, type Scripts } from '../redis/scripts.ts'
import { createSessionNotes, type NoteChanges } from './session-notes.ts'

/** Upload sessions in Redis, shared by all workers. */
export interface UploadCheckpoints {
  /**
   * The store as one run sees it. It reads what any run left; writes of a run that a later run of the same job has
   * replaced change nothing, so a worker that wakes up late cannot undo its successor's progress. Its notes of open
   * sessions are taken all the same: nobody else knows of them. `credentials`: of the run, for who gives those up when its
   * job has ended.
   */
  forRun(jobId: string, epoch: number, credentials?: JobCredentials): UploadSessionStore
  close(): Promise<void>
}

export interface UploadCheckpointOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  /** All processes of one layerd share them. */
  secretKey: SecretKeys
  clock?: Clock
  logger?: Logger
}

/** No registry is known to keep a session longer. Source: distribution's default upload purge age, 168 h. */
const TTL_SECONDS = 168 * 3600

/** Opens a connection of its own, which waits for Redis. Locations are sealed: they may let their holder write. */
export function createUploadCheckpoints(options: UploadCheckpointOptions): UploadCheckpoints {
  const { logger = silentLogger, clock = systemClock } = options
  const redis = connectRedis(options.redis, { role: 'worker', name: 'layerd-checkpoints', logger })
  const keys = createKeys(options.prefix)
  const context = { redis, keys, scripts: createScripts(redis), vault: createVault(options.secretKey), clock, logger }
  return {
    forRun: (jobId, epoch, credentials) => createRunSessions(context, { jobId, epoch, credentials }),
    async close() {
      redis.disconnect()
    },
  }
}

interface Context {
  redis: Redis
  keys: Keys
  scripts: Scripts
  vault: Vault
  clock: Clock
  logger: Logger
}

interface Run {
  jobId: string
  epoch: number
  credentials: JobCredentials | undefined
}

function createRunSessions(context: Context, run: Run): UploadSessionStore {
  const { redis, keys, scripts, vault, logger } = context
  const { jobId, epoch } = run
  const name = keys.openSessions(jobId)
  const keyOf = (key: UploadKey) => keys.upload(key.registry, key.repository, key.digest)
  const notes = createSessionNotes(noteWriter(context, run))
  /** What this run has saved or found: it clears nothing else. */
  const known = new Map<string, string>()
  const save = (key: UploadKey, sealed: string, note: string): Promise<number> => {
    known.set(keyOf(key), sealed)
    const args = [jobId, epoch, sealed, TTL_SECONDS, keys.uploads(jobId), name, note]
    return scripts.other('save-upload', keyOf(key), args)
  }
  const clear = async (key: UploadKey, sealed: string, note: readonly string[]): Promise<boolean> => {
    const args = [epoch, keyOf(key), sealed, TTL_SECONDS, ...note]
    const [answer] = await scripts.job('clear-upload', targetOf(context, run), args)
    return answer !== 'refused'
  }
  return {
    async load(key) {
      const sealed = await redis.hget(keyOf(key), 'upload')
      if (sealed === null) return undefined
      known.set(keyOf(key), sealed)
      try {
        return vault.open(keyOf(key), sealed) as SavedUpload
      } catch (error) {
        const { digest } = key
        logger.warn({ err: error, digest }, 'a saved upload session cannot be read; the blob starts anew')
        return undefined
      }
    },
    async save(key, upload, note) {
      const sealed = vault.seal(keyOf(key), upload)
      if (note) await notes.cover(note, async (id) => (await save(key, sealed, id ?? '')) === 1)
      else await save(key, sealed, '')
    },
    async clear(key, note) {
      const sealed = known.get(keyOf(key)) ?? ''
      known.delete(keyOf(key))
      if (note) await notes.uncover(note, (id, session) => clear(key, sealed, [id, vault.seal(name, session)]))
      else if (sealed !== '') await clear(key, sealed, [])
    },
    opened: (place, location): SessionNote => notes.opened(place, location),
    settle: () => notes.settle(),
  }
}

function noteWriter(context: Context, run: Run): (changes: NoteChanges) => Promise<void> {
  const { keys, scripts, vault, logger } = context
  const { jobId, epoch, credentials } = run
  const access = credentials ? vault.seal(jobId, credentials) : ''
  const name = keys.openSessions(jobId)
  return async ({ open, closed }) => {
    const sealed = open.flatMap(({ id, session }) => [id, vault.seal(name, session)])
    const args = [epoch, TTL_SECONDS, closed.join(' '), access, ...sealed]
    try {
      await scripts.job('note-sessions', targetOf(context, run), args)
    } catch (error) {
      logger.warn({ err: error, jobId }, 'open upload sessions were not noted; the registry may have to purge them')
    }
  }
}

function targetOf({ keys, clock }: Context, { jobId }: Run) {
  return { id: jobId, key: keys.job(jobId), prefix: keys.prefix, now: clock.now() }
}

import type { SavedUpload, SessionNote, UploadKey, UploadSessionStore } from '../../content/checkpoint.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createVault } from '../record/credentials.ts'
import { createKeys } from '../redis/keys.ts'
import { connectRedis, type RedisTarget } from '../redis/redis.ts'
import type { JobCredentials } from '../model/requests.ts'
import { createScripts } from '../redis/scripts.ts'
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
  /** 32 bytes; all processes of one layerd share it. */
  secretKey: Uint8Array
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
  const vault = createVault(options.secretKey)
  const scripts = createScripts(redis)
  const keyOf = (key: UploadKey) => keys.upload(key.registry, key.repository, key.digest)

  return {
    forRun(jobId, epoch, credentials) {
      const access = credentials ? vault.seal(jobId, credentials) : ''
      const name = keys.openSessions(jobId)
      const notes = createSessionNotes(async ({ open, closed }: NoteChanges) => {
        const sealed = open.flatMap(({ id, session }) => [id, vault.seal(name, session)])
        const target = { id: jobId, key: keys.job(jobId), prefix: keys.prefix, now: clock.now() }
        try {
          await scripts.job('note-sessions', target, [epoch, TTL_SECONDS, closed.join(' '), access, ...sealed])
        } catch (error) {
          logger.warn({ err: error, jobId }, 'open upload sessions were not noted; the registry may have to purge them')
        }
      })
      const save = (key: UploadKey, sealed: string, note: string): Promise<number> => {
        const ttl = sealed === '' ? 0 : TTL_SECONDS
        return scripts.other('save-upload', keyOf(key), [jobId, epoch, sealed, ttl, keys.uploads(jobId), name, note])
      }
      return {
        async load(key) {
          const sealed = await redis.hget(keyOf(key), 'upload')
          if (sealed === null) return undefined
          try {
            return vault.open(keyOf(key), sealed) as SavedUpload
          } catch (error) {
            logger.warn(
              { err: error, digest: key.digest },
              'a saved upload session cannot be read; the blob starts anew',
            )
            return undefined
          }
        },
        async save(key, upload, note) {
          const sealed = vault.seal(keyOf(key), upload)
          if (note) await notes.cover(note, async (id) => (await save(key, sealed, id ?? '')) === 1)
          else await save(key, sealed, '')
        },
        async clear(key) {
          await save(key, '', '')
        },
        opened: (place, location): SessionNote => notes.opened(place, location),
        settle: () => notes.settle(),
      }
    },
    async close() {
      redis.disconnect()
    },
  }
}

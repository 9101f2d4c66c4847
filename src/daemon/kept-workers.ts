import type { Redis } from 'ioredis'
import type { Config } from '../config/config.ts'
import { createKeys } from '../jobs/redis/keys.ts'
import { connectRedis } from '../jobs/redis/redis.ts'
import type { Logger } from '../lib/logger.ts'
import { heapFlags, type NodeProgram, nodeCommand } from './child.ts'
import type { DataDirectory } from './data-directory.ts'
import type { KeptChildren, KeptPlace } from './kept-children.ts'
import { redisTarget } from './kept-redis.ts'
import { freeLostJobs } from './lost-worker.ts'

export interface KeptWorkersOptions {
  config: Config
  directory: DataDirectory
  program: NodeProgram
  /** KeptPlace's. */
  onStarted: NonNullable<KeptPlace['onStarted']>
  logger: Logger
}

/** V8's own bound lets a worker that sends thousands of small layers keep 120 MiB of what is garbage (docs/performance.md). */
const WORKER_FLAGS = ['--max-semi-space-size=8']

/** What a command in flight of a dying process may still do after its jobs were looked for. */
const SECOND_LOOK_MS = 1000

/**
 * Keeps LAYERD_WORKERS worker processes alive; the jobs of one that dies are free for others at once. The result ends
 * what looks after lost jobs; the workers are the children's to end.
 */
export function keepWorkers(
  children: KeptChildren,
  { config, directory, program, onStarted, logger }: KeptWorkersOptions,
): Disposable {
  const redis = connectRedis(redisTarget(config), { role: 'worker', name: 'layerd-supervisor', logger })
  const lost = lookForLostJobs(config, { redis, logger })
  // The directory's lock is ours: whoever this directory's daemon had started before is dead, or dying.
  const ours = `${directory.id.slice(0, 8)}-`
  // A name is never used twice.
  const namePrefix = `${ours}${Date.now().toString(36)}-`
  lost.look((worker) => worker.startsWith(ours) && !worker.startsWith(namePrefix))
  const flags = [...WORKER_FLAGS, ...heapFlags(config.workerHeapBytes)]
  for (let slot = 1; slot <= config.workers; slot += 1) {
    const nameOf = (start: number) => `${namePrefix}${slot}.${start}`
    children.keep({
      what: 'a worker process',
      facts: (start) => ({ worker: nameOf(start) }),
      command: (start) => nodeCommand(program, flags, ['worker', '--name', nameOf(start)]),
      onStarted,
      onEnded(_end, start) {
        lost.look((worker) => worker === nameOf(start))
        return true
      },
    })
  }
  return {
    [Symbol.dispose]() {
      lost[Symbol.dispose]()
      redis.disconnect()
    },
  }
}

/** Which of a daemon's workers it is, by its name: the same for all that take its place when it ends. */
export function placeOf(name: string): string {
  return `worker-${/-(\d+)\.\d+$/.exec(name)?.[1] ?? 1}`
}

/** Frees the jobs of dead workers, now and once more when the last of their commands has come through. */
function lookForLostJobs({ redisPrefix }: Config, { redis, logger }: { redis: Redis; logger: Logger }) {
  const keys = createKeys(redisPrefix)
  const looks = new Set<NodeJS.Timeout>()
  const free = async (isDead: (worker: string) => boolean): Promise<void> => {
    try {
      const jobs = await freeLostJobs(redis, keys, isDead)
      if (jobs > 0) logger.info({ jobs }, 'freed the jobs of a lost worker')
    } catch (error) {
      // They are taken over anyway, when their locks run out.
      logger.warn({ err: error }, 'the jobs of a lost worker could not be freed')
    }
  }
  return {
    look(isDead: (worker: string) => boolean): void {
      const timer = setTimeout(() => {
        looks.delete(timer)
        void free(isDead)
      }, SECOND_LOOK_MS)
      looks.add(timer)
      void free(isDead)
    },
    [Symbol.dispose]() {
      for (const timer of looks) clearTimeout(timer)
    },
  }
}

import { requireSafeListen } from '../config/config.ts'
import type { NodeProgram, Surroundings } from '../daemon/child.ts'
import { openDataDirectory } from '../daemon/data-directory.ts'
import { WHY_NO_REDIS } from '../daemon/api-channel.ts'
import { lockDataDirectory } from '../daemon/directory-lock.ts'
import { keepApi } from '../daemon/kept-api.ts'
import { KeptChildren } from '../daemon/kept-children.ts'
import { redisProgram, superviseRedis } from '../daemon/kept-redis.ts'
import { keepWorkers } from '../daemon/kept-workers.ts'
import { answer } from '../lib/channel.ts'
import { answerFigures, WorkerFigures } from '../metrics/worker-figures.ts'
import { DRAIN_MS, type RoleContext } from './context.ts'

/**
 * `layerd`: a supervisor, with the API, workers and, where no other is named, a Redis as children. It holds the directory's
 * lock and moves no byte, so that there is little in it that could fail.
 */
export async function runAllInOne(
  context: RoleContext,
  { program, stderr }: Pick<Surroundings, 'stderr'> & { program: NodeProgram },
): Promise<number> {
  const { config, logger, env } = context
  requireSafeListen(config)
  const redisServer = await redisProgram(config, env['PATH'] ?? '')
  const directory = await openDataDirectory({ path: config.dataDir, secretKeyFile: config.secretKeyFile })
  await using _lock = await lockDataDirectory(config.dataDir)
  await using stack = new AsyncDisposableStack()
  const redis = await superviseRedis(config, { program: redisServer, logger })
  stack.defer(() => redis.stop())
  const children = new KeptChildren({ logger, env, stderr })
  stack.defer(() => children.stop(DRAIN_MS + 1000))
  const figures = new WorkerFigures()
  const api = await Promise.race([
    keepApi(children, {
      config,
      program,
      onStarted(child) {
        answerFigures(child, () => figures.collect())
        answer(child, WHY_NO_REDIS, () => redis.whyAway())
      },
      logger,
    }),
    context.stop,
  ])
  if (typeof api === 'object') {
    if ('exitCode' in api) return api.exitCode
    stack.use(keepWorkers(children, { config, directory, program, onStarted: (child) => figures.add(child), logger }))
    logger.info({ url: api.url, workers: config.workers, data: config.dataDir }, 'layerd is up')
  }
  logger.info({ signal: await context.stop }, 'layerd is shutting down')
  await children.stop(DRAIN_MS + 1000)
  return 0
}

import { requireSafeListen } from '../config/config.ts'
import { openDataDirectory } from '../daemon/data-directory.ts'
import { lockDataDirectory } from '../daemon/directory-lock.ts'
import { joinRedis } from '../daemon/shared-id.ts'
import { redisProgram, superviseRedis, superviseWorkers } from '../daemon/supervisor.ts'
import { WorkerFigures } from '../metrics/worker-figures.ts'
import { startApi } from './api.ts'
import { DRAIN_MS, type RoleContext } from './context.ts'

/** `layerd`: the API in this process, workers and, where no other is named, a Redis as children. */
export async function runAllInOne(
  context: RoleContext,
  { command }: { command: readonly [string, ...string[]] },
): Promise<number> {
  const { config, logger } = context
  requireSafeListen(config)
  const program = await redisProgram(config, context.env['PATH'] ?? '')
  const directory = await openDataDirectory({ path: config.dataDir, secretKeyFile: config.secretKeyFile })
  await using _lock = await lockDataDirectory(config.dataDir)
  await using stack = new AsyncDisposableStack()
  const redis = await superviseRedis(config, { program, logger })
  stack.defer(() => redis.stop())
  const joining = joinRedis(config, directory, context)
  // It is awaited once the API listens; a refusal before that is no unhandled one.
  joining.catch(() => undefined)
  const figures = new WorkerFigures()
  const api = await startApi(context, directory, {
    allInOne: config.workers > 0,
    joining,
    workerFigures: () => figures.collect(),
  })
  stack.defer(() => api.close())
  if (!(await joining)) return 0
  const onStarted = (child: Parameters<WorkerFigures['add']>[0]) => figures.add(child)
  const workers = superviseWorkers({ config, directory, command, graceMs: DRAIN_MS + 1000, onStarted, logger })
  logger.info({ url: api.url, workers: config.workers, data: config.dataDir }, 'layerd is up')
  logger.info({ signal: await context.stop }, 'layerd is shutting down')
  await Promise.all([api.drain(), workers.stop()])
  return 0
}

import { type ApiNews, WHY_NO_REDIS, type WhyNoRedis } from '../daemon/api-channel.ts'
import { requireSafeListen } from '../config/config.ts'
import { openDataDirectory } from '../daemon/data-directory.ts'
import { joinRedis } from '../daemon/shared-id.ts'
import { ask } from '../lib/channel.ts'
import { explained } from '../jobs/redis/redis.ts'
import { WorkerFigures } from '../metrics/worker-figures.ts'
import { startApi } from './api.ts'
import type { RoleContext } from './context.ts'

/** Its supervisor may need as long for those of the workers. */
const FIGURES_MS = 3000
/** The supervisor waits for a quarter of a second itself. */
const WHY_MS = 1000
/** A daemon that was killed has an API that ends a moment after it. */
const PORT_PATIENCE_MS = 2000

/**
 * `layerd serve`: the API. Alone, or as a child of `layerd`, which it tells where it listens and that it serves: workers
 * belong to it then.
 */
export async function runServe(context: RoleContext, { supervised }: { supervised: boolean }): Promise<number> {
  const { config, logger, channel } = context
  requireSafeListen(config)
  const directory = await openDataDirectory({ path: config.dataDir, secretKeyFile: config.secretKeyFile })
  await using stack = new AsyncDisposableStack()
  const joining = joinRedis(config, directory, context)
  // It is awaited once the API listens; a refusal before that is no unhandled one.
  joining.catch(() => undefined)
  const supervisor = supervised ? channel : undefined
  const figures = new WorkerFigures({ answerMs: FIGURES_MS })
  if (supervisor) figures.add(supervisor)
  const whyNoRedis = supervisor && (() => ask<WhyNoRedis>(supervisor, WHY_NO_REDIS, WHY_MS))
  const tell = (news: ApiNews) => supervisor?.send?.(news, () => undefined)
  const api = await startApi(context, directory, {
    allInOne: supervised && config.workers > 0,
    joining,
    whyNoRedis,
    workerFigures: () => figures.collect(),
    portPatienceMs: supervised ? PORT_PATIENCE_MS : 0,
  })
  stack.defer(() => api.close())
  tell({ layerdApi: 'listening', url: api.url, port: api.port })
  const joined = await joining.catch(async (error: unknown) => {
    throw await explained(error, whyNoRedis)
  })
  if (!joined) return 0
  tell({ layerdApi: 'serving' })
  if (!supervised) logger.info({ url: api.url }, 'layerd is up')
  const signal = await context.stop
  if (!supervised) logger.info({ signal }, 'layerd is shutting down')
  await api.drain()
  return 0
}

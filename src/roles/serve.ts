import { requireSafeListen } from '../config/config.ts'
import { openDataDirectory } from '../daemon/data-directory.ts'
import { joinRedis } from '../daemon/shared-id.ts'
import { startApi } from './api.ts'
import type { RoleContext } from './context.ts'

/** `layerd serve`: the API alone. */
export async function runServe(context: RoleContext): Promise<number> {
  const { config, logger } = context
  requireSafeListen(config)
  const directory = await openDataDirectory({ path: config.dataDir, secretKeyFile: config.secretKeyFile })
  await using stack = new AsyncDisposableStack()
  const joining = joinRedis(config, directory, context)
  // It is awaited once the API listens; a refusal before that is no unhandled one.
  joining.catch(() => undefined)
  const api = await startApi(context, directory, { allInOne: false, joining })
  stack.defer(() => api.close())
  if (!(await joining)) return 0
  logger.info({ url: api.url }, 'layerd is up')
  logger.info({ signal: await context.stop }, 'layerd is shutting down')
  await api.drain()
  return 0
}

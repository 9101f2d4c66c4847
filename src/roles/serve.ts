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
  if (!(await joinRedis(config, directory, context))) return 0
  const api = await startApi(context, directory, { allInOne: false })
  logger.info({ url: api.url }, 'layerd is up')
  logger.info({ signal: await context.stop }, 'layerd is shutting down')
  await api.drain()
  await api.close()
  return 0
}

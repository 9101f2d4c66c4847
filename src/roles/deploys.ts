import type { DataDirectory } from '../daemon/data-directory.ts'
import { createDeployer, openDeployFolders } from '../deploy/deploy.ts'
import { deployWork, type DeployWorkOptions } from '../worker/kinds/run-deploy.ts'
import type { WorkerOptions } from '../worker/worker.ts'
import type { RoleContext } from './context.ts'

/** Where LAYERD_ZARF is set. */
export async function deployKinds(
  { config, env, logger }: RoleContext,
  directory: DataDirectory,
  options: Omit<DeployWorkOptions, 'deployer'>,
): Promise<Pick<WorkerOptions['work'], 'deploy' | 'remove'>> {
  if (config.zarf === undefined) return {}
  const folders = await openDeployFolders(directory.deploys)
  await folders.sweep().catch((error: unknown) => logger.warn({ err: error }, 'sweeping the folders of deploys failed'))
  const work = deployWork({ ...options, deployer: createDeployer({ zarf: config.zarf, folders, env }) })
  return { deploy: work, remove: work }
}

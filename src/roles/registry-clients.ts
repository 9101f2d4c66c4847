import { readProxies } from '../config/proxies.ts'
import type { RegistryFactStore } from '../content/registry-facts.ts'
import type { JobCredentials } from '../jobs/model/requests.ts'
import { createRegistryConnections, type HookList } from '../oci/connections.ts'
import { dockerCredentials } from '../oci/credentials/docker-config.ts'
import { fixedCredentials } from '../oci/credentials/fixed.ts'
import { chainProviders } from '../oci/credentials/provider.ts'
import { createRegistryClient, type RegistryClient, type RegistryClientOptions } from '../oci/registry.ts'
import type { RoleContext } from './context.ts'

interface ClientAccess extends Pick<RegistryClientOptions, 'sessions' | 'signal' | 'mayUse' | 'onWait'> {
  credentials: JobCredentials | undefined
  plainHttp: boolean
}

export type RegistryClients = (access: ClientAccess) => RegistryClient

/** Registries over this process's connections, each caller with its own credentials before Docker's. */
export function registryClients(
  { config, env, version, logger }: RoleContext,
  { facts, hooks }: { facts?: RegistryFactStore; hooks?: HookList } = {},
): RegistryClients {
  const connections = createRegistryConnections({ version, proxy: readProxies(env), ...(hooks ? { hooks } : {}) })
  const docker = dockerCredentials({ env })
  const plain = new Set(config.plainHttpRegistries)
  return ({ credentials: given, plainHttp, ...access }: ClientAccess) =>
    createRegistryClient({
      ...access,
      ...(facts ? { facts } : {}),
      connections,
      credentials: given ? chainProviders(fixedCredentials(given.registry, given), docker) : docker,
      plainHttp: (registry) => plainHttp || plain.has(registry.toLowerCase()),
      logger,
    })
}

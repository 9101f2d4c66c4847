import { readProxies } from '../config/proxies.ts'
import type { RegistryFactStore } from '../content/registry-facts.ts'
import type { JobCredentials } from '../jobs/model/requests.ts'
import { isLoopback } from '../lib/loopback.ts'
import { createRegistryConnections, type HookList } from '../oci/connections.ts'
import { dockerCredentials } from '../oci/credentials/docker-config.ts'
import { fixedCredentials } from '../oci/credentials/fixed.ts'
import { chainProviders, type CredentialProvider, withheld } from '../oci/credentials/provider.ts'
import { createRegistryClient, type RegistryClient, type RegistryClientOptions } from '../oci/registry.ts'
import type { RoleContext } from './context.ts'

interface ClientAccess extends Pick<RegistryClientOptions, 'sessions' | 'signal' | 'mayUse' | 'onWait' | 'onBody'> {
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
  // A caller's word alone does not send the daemon's own password in clear over a network.
  const named = (registry: string) => plain.has(registry.toLowerCase())
  const inClear = withheld(
    docker,
    (registry) => !named(registry) && !isLoopback(new URL(`http://${registry}`).hostname),
  )
  return ({ credentials: given, plainHttp, ...access }: ClientAccess) => {
    const own: CredentialProvider = plainHttp ? inClear : docker
    return createRegistryClient({
      ...access,
      ...(facts ? { facts } : {}),
      connections,
      credentials: given ? chainProviders(fixedCredentials(given.registry, given), own) : own,
      plainHttp: (registry) => plainHttp || named(registry),
      logger,
    })
  }
}

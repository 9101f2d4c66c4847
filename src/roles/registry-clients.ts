import { readProxies } from '../config/proxies.ts'
import type { RegistryFactStore } from '../content/registry-facts.ts'
import type { JobCredentials } from '../jobs/model/requests.ts'
import { isLoopback as listensLocally } from '../config/listen.ts'
import { isLoopback } from '../lib/loopback.ts'
import {
  createOutboundPolicy,
  createRegistryConnections,
  type HookList,
  type OutboundPolicy,
} from '../oci/connections.ts'
import { dockerCredentials } from '../oci/credentials/docker-config.ts'
import { fixedCredentials } from '../oci/credentials/fixed.ts'
import { chainProviders, type CredentialProvider, withheld } from '../oci/credentials/provider.ts'
import { createRegistryClient, type RegistryClient, type RegistryClientOptions } from '../oci/registry.ts'
import type { RoleContext } from './context.ts'

interface ClientAccess
  extends Pick<RegistryClientOptions, 'sessions' | 'signal' | 'mayUse' | 'onWait' | 'onBody' | 'onWarning'> {
  credentials: JobCredentials | undefined
  plainHttp: boolean
}

export type RegistryClients = (access: ClientAccess) => RegistryClient

/** Registries over this process's connections, each caller with its own credentials before Docker's. */
export function registryClients(
  { config, env, version, logger }: RoleContext,
  { policy, facts, hooks }: { policy: OutboundPolicy; facts?: RegistryFactStore; hooks?: HookList },
): RegistryClients {
  const proxy = readProxies(env)
  const onRefused = (found: object) => logger.warn(found, 'an address that may not be contacted was refused')
  const connections = createRegistryConnections({ version, proxy, policy, onRefused, ...(hooks ? { hooks } : {}) })
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

/**
 * What this process's settings let callers name. A worker that was started alone does not know where the API listens, unless
 * it is told as the API is (LAYERD_LISTEN).
 */
export function outboundPolicy(
  { config, env, channel }: Pick<RoleContext, 'config' | 'env' | 'channel'>,
  role: 'api' | 'worker',
) {
  const { allowed, named, callersChoose } = config.outbound
  const knows = role === 'api' || channel !== undefined || Boolean(env['LAYERD_LISTEN'])
  return createOutboundPolicy({ allowed, named, anywhere: callersChoose ?? (knows && listensLocally(config.listen)) })
}

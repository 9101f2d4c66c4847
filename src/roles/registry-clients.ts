import { readProxies } from '../config/proxies.ts'
import type { RegistryFactStore } from '../content/registry-facts.ts'
import type { WireTrace } from '../content/wire-request.ts'
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
import { pingRegistry, type PingReport, type PingRequest } from '../oci/ping/ping.ts'
import { createRegistryClient, type RegistryClient, type RegistryClientOptions } from '../oci/registry.ts'
import type { RoleContext } from './context.ts'

interface ClientAccess
  extends Pick<RegistryClientOptions, 'sessions' | 'signal' | 'mayUse' | 'onWait' | 'onBody' | 'onWarning' | 'trace'> {
  credentials: JobCredentials | undefined
  plainHttp: boolean
}

interface ClientsOptions {
  policy: OutboundPolicy
  facts?: RegistryFactStore
  hooks?: HookList
  sharedTrace?: WireTrace
}

export type RegistryClients = (access: ClientAccess) => RegistryClient

type PingAccess = Pick<ClientAccess, 'credentials' | 'plainHttp' | 'signal'>

/** Registries over this process's connections, each caller with its own credentials before Docker's. */
export interface ProcessRegistries {
  readonly clientFor: RegistryClients
  /** What pingRegistry says, as this caller would be served. */
  readonly ping: (request: PingRequest, access: PingAccess) => Promise<PingReport>
}

export function processRegistries(
  { config, env, version, logger }: RoleContext,
  { policy, facts, hooks, sharedTrace }: ClientsOptions,
): ProcessRegistries {
  const proxy = readProxies(env)
  const onRefused = (found: object) => logger.warn(found, 'an address that may not be contacted was refused')
  const connections = createRegistryConnections({
    version,
    proxy,
    policy,
    onRefused,
    ...(hooks ? { hooks } : {}),
    ...(sharedTrace ? { sharedTrace } : {}),
  })
  const docker = dockerCredentials({ env })
  const plain = new Set(config.plainHttpRegistries)
  // A caller's word alone does not send the daemon's own password in clear over a network.
  const named = (registry: string) => plain.has(registry.toLowerCase())
  const inClear = withheld(
    docker,
    (registry) => !named(registry) && !isLoopback(new URL(`http://${registry}`).hostname),
  )
  const credentialsOf = ({ credentials: given, plainHttp }: PingAccess): CredentialProvider => {
    const own: CredentialProvider = plainHttp ? inClear : docker
    return given ? chainProviders(fixedCredentials(given.registry, given), own) : own
  }
  return {
    clientFor: ({ credentials, plainHttp, ...access }) =>
      createRegistryClient({
        ...access,
        ...(facts ? { facts } : {}),
        connections,
        credentials: credentialsOf({ credentials, plainHttp, ...access }),
        plainHttp: (registry) => plainHttp || named(registry),
        logger,
      }),
    ping: (request, access) =>
      pingRegistry(request, {
        connections,
        credentials: credentialsOf(access),
        plainHttp: access.plainHttp || named(request.registry),
        policy,
        proxy,
        signal: access.signal,
      }),
  }
}

/** processRegistries where nobody pings. */
export function registryClients(...options: Parameters<typeof processRegistries>): RegistryClients {
  return processRegistries(...options).clientFor
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

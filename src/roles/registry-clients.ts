import { readProxies } from '../config/proxies.ts'
import type { RegistryFactStore } from '../content/registry-facts.ts'
import type { WireTrace } from '../content/wire-request.ts'
import type { JobCredentials } from '../jobs/model/requests.ts'
import type { RegistryRecords } from '../jobs/registries/registry-records.ts'
import { isLoopback as listensLocally } from '../config/listen.ts'
import { isLoopback } from '../lib/loopback.ts'
import {
  createOutboundPolicy,
  createRegistryConnections,
  type HookList,
  type OutboundPolicy,
} from '../oci/connections.ts'
import { type Clouds, createClouds } from '../oci/credentials/clouds/clouds.ts'
import { dockerCredentials } from '../oci/credentials/docker-config.ts'
import { fixedCredentials } from '../oci/credentials/fixed.ts'
import { chainProviders, type CredentialProvider, withheld } from '../oci/credentials/provider.ts'
import { pingRegistry, type PingReport, type PingRequest } from '../oci/ping/ping.ts'
import { createRegistryClient, type RegistryClient, type RegistryClientOptions } from '../oci/registry.ts'
import type { RoleContext } from './context.ts'
import { keptCredentials } from './kept-credentials.ts'

interface ClientAccess
  extends Pick<RegistryClientOptions, 'sessions' | 'signal' | 'mayUse' | 'onWait' | 'onBody' | 'onWarning' | 'trace'> {
  credentials: JobCredentials | undefined
  plainHttp: boolean
}

export type RegistryClients = (access: ClientAccess) => RegistryClient

type PingAccess = Pick<ClientAccess, 'credentials' | 'plainHttp' | 'signal'>

/** Registries over this process's connections, each caller with its own credentials before Docker's. */
export interface ProcessRegistries {
  readonly clientFor: RegistryClients
  /** What pingRegistry says, as this caller would be served. */
  readonly ping: (request: PingRequest, access: PingAccess) => Promise<PingReport>
}

export interface ProcessRegistriesOptions {
  policy: OutboundPolicy
  /** What is kept of registries. Default: nothing is. */
  records?: RegistryRecords
  facts?: RegistryFactStore
  hooks?: HookList
  sharedTrace?: WireTrace
}

export function processRegistries(
  { config, env, version, logger }: RoleContext,
  { policy, records, facts, hooks, sharedTrace }: ProcessRegistriesOptions,
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
  const clouds = createClouds({ call: connections.cloud, env })
  const accessOf = createAccess({ config, env, records, clouds })
  return {
    clientFor: ({ credentials, plainHttp, ...access }) =>
      createRegistryClient({
        ...access,
        ...(facts ? { facts } : {}),
        connections,
        ...accessOf({ credentials, plainHttp, ...access }),
        logger,
      }),
    async ping(request, access) {
      await records?.refresh()
      const { credentials, plainHttp } = accessOf(access)
      return pingRegistry(request, {
        connections,
        credentials,
        plainHttp: plainHttp(request.registry),
        policy,
        proxy,
        ...(facts ? { facts } : {}),
        signal: access.signal,
      })
    },
  }
}

interface Access {
  readonly credentials: CredentialProvider
  readonly plainHttp: (registry: string) => boolean
}

/** What a caller is shown to a registry as, and how that is spoken to. */
function createAccess({
  config,
  env,
  records,
  clouds,
}: Pick<RoleContext, 'config' | 'env'> & { records: RegistryRecords | undefined; clouds: Clouds }): (
  caller: PingAccess,
) => Access {
  const docker = dockerCredentials({ env })
  const plain = new Set(config.plainHttpRegistries)
  const named = (registry: string) => plain.has(registry.toLowerCase())
  const keptPlain = (registry: string) => records?.known(registry)?.plainHttp === true
  const mayBeShown = (registry: string) => named(registry) || isLoopback(new URL(`http://${registry}`).hostname)
  const kept = records && keptCredentials(records, clouds)
  /**
   * A caller's word alone does not send the daemon's own passwords in clear over a network; that of who keeps a registry sends
   * those that were given with it. A client goes one way for as long as it lives, and what was given for another is not shown.
   */
  return ({ credentials: given, plainHttp }) => {
    const ways = new Map<string, boolean>()
    const plainBy = (registry: string): boolean => {
      const way = ways.get(registry) ?? keptPlain(registry)
      ways.set(registry, way)
      return way
    }
    const isOtherWay = (registry: string) =>
      plainBy(registry) !== keptPlain(registry) || (plainHttp && !plainBy(registry) && !mayBeShown(registry))
    const chain = chainProviders(
      ...[given, given?.also].flatMap((login) => (login ? [fixedCredentials(login.registry, login)] : [])),
      ...(kept ? [withheld(kept, isOtherWay)] : []),
      withheld(docker, (registry) => (plainHttp || plainBy(registry)) && !mayBeShown(registry)),
    )
    const credentials: CredentialProvider = {
      async find(place) {
        await records?.refresh()
        return chain.find(place)
      },
    }
    return { credentials, plainHttp: (registry) => plainHttp || named(registry) || plainBy(registry) }
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
  records?: RegistryRecords,
) {
  const { allowed, named, callersChoose } = config.outbound
  const knows = role === 'api' || channel !== undefined || Boolean(env['LAYERD_LISTEN'])
  const isNamed = (registry: string) => records?.keeps(registry) === true
  const anywhere = callersChoose ?? (knows && listensLocally(config.listen))
  return createOutboundPolicy({ allowed, named, isNamed, anywhere })
}

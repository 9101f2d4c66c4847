import { readProxies } from '../config/proxies.ts'
import type { SharedLimits } from '../content/limits/registry-limits.ts'
import type { RegistryFactStore } from '../content/registry-facts.ts'
import type { WireTrace } from '../content/wire-request.ts'
import type { WaySettings } from '../jobs/model/registry-way.ts'
import type { JobCredentials } from '../jobs/model/requests.ts'
import type { RegistryRecords } from '../jobs/registries/registry-records.ts'
import { isLoopback as listensLocally } from '../config/listen.ts'
import { isLoopback } from '../lib/loopback.ts'
import {
  createOutboundPolicy,
  createRegistryConnections,
  type HookList,
  type OutboundPolicy,
  type RegistryWay,
} from '../oci/connections.ts'
import { type Clouds, createClouds, type Kms } from '../oci/credentials/clouds/clouds.ts'
import { dockerCredentials } from '../oci/credentials/docker-config.ts'
import { fixedCredentials } from '../oci/credentials/fixed.ts'
import { chainProviders, type CredentialProvider, withheld } from '../oci/credentials/provider.ts'
import { pingRegistry, type PingReport, type PingRequest } from '../oci/ping/ping.ts'
import { createRegistryClient, type RegistryClient, type RegistryClientOptions } from '../oci/registry.ts'
import type { RoleContext } from './context.ts'
import { keptCredentials } from './kept-credentials.ts'
import { keptWays, requestWay } from './kept-ways.ts'

interface ClientAccess
  extends Pick<
    RegistryClientOptions,
    'sessions' | 'signal' | 'mayUse' | 'onWait' | 'onBody' | 'onWarning' | 'onMirror' | 'trace'
  > {
  credentials: JobCredentials | undefined
  plainHttp: boolean
}

export type RegistryClients = (access: ClientAccess) => RegistryClient

type PingAccess = Pick<ClientAccess, 'credentials' | 'plainHttp' | 'signal'>

interface AskedPing extends PingRequest {
  /** In place of what is kept, whose credentials were not given for it. */
  readonly way?: WaySettings | undefined
}

/** Registries over this process's connections, each caller with its own credentials before Docker's. */
export interface ProcessRegistries {
  readonly clientFor: RegistryClients
  /** What pingRegistry says, as this caller would be served. */
  readonly ping: (request: AskedPing, access: PingAccess) => Promise<PingReport>
  readonly kms: Kms
}

export interface ProcessRegistriesOptions {
  policy: OutboundPolicy
  /** What is kept of registries. Default: nothing is. */
  records?: RegistryRecords
  facts?: RegistryFactStore
  /** What all processes ask of registries. Default: each its own. */
  limits?: SharedLimits
  hooks?: HookList
  sharedTrace?: WireTrace
}

export function processRegistries(
  { config, env, version, logger }: RoleContext,
  { policy, records, facts, limits, hooks, sharedTrace }: ProcessRegistriesOptions,
): ProcessRegistries {
  const proxy = readProxies(env)
  const onRefused = (found: object) => logger.warn(found, 'an address that may not be contacted was refused')
  const connections = createRegistryConnections({
    version,
    proxy,
    policy,
    onRefused,
    ...(limits ? { limits } : {}),
    ...(hooks ? { hooks } : {}),
    ...(sharedTrace ? { sharedTrace } : {}),
  })
  const clouds = createClouds({ call: connections.cloud, env })
  const accessOf = createAccess({ config, env, records, clouds })
  return {
    kms: clouds.kms,
    clientFor: ({ credentials, plainHttp, ...access }) =>
      createRegistryClient({
        onMirror: (registry, { message }) => logger.info({ registry, reason: message }, 'a mirror did not serve'),
        ...access,
        ...(facts ? { facts } : {}),
        connections,
        ...accessOf({ credentials, plainHttp, ...access }),
        logger,
      }),
    async ping({ way: asked, ...request }, access) {
      await records?.refresh()
      const { credentials, plainHttp, way } = asked ? givenAccess(asked, access) : accessOf(access)
      return pingRegistry(request, {
        connections,
        credentials,
        plainHttp: plainHttp(request.registry),
        way: way(request.registry),
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
  readonly way: (registry: string) => RegistryWay
  readonly mirror: (registry: string) => string | undefined
}

/** What a request says of a registry, and nothing that is known from elsewhere. */
function givenAccess(way: WaySettings, { credentials, plainHttp }: PingAccess): Access {
  return {
    credentials: chainProviders(...(credentials ? [fixedCredentials(credentials.registry, credentials)] : [])),
    plainHttp: () => plainHttp,
    way: (registry) => requestWay(registry, way),
    mirror: () => undefined,
  }
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
  const mayBeShown = (registry: string) => named(registry) || isLoopback(new URL(`http://${registry}`).hostname)
  const kept = records && keptCredentials(records, clouds)
  /**
   * A caller's word alone does not send the daemon's own passwords in clear over a network; that of who keeps a registry sends
   * those that were given with it. A client goes one way for as long as it lives, and what was given for another is not shown.
   */
  return ({ credentials: given, plainHttp }) => {
    const ways = keptWays(records)
    const isOtherWay = (registry: string) =>
      ways.isLeft(registry) || (plainHttp && !ways.plainHttp(registry) && !mayBeShown(registry))
    const isStrange = (registry: string) =>
      ways.isChosen(registry) || ((plainHttp || ways.plainHttp(registry)) && !mayBeShown(registry))
    const chain = chainProviders(
      ...[given, given?.also].flatMap((login) => (login ? [fixedCredentials(login.registry, login)] : [])),
      ...(kept ? [withheld(kept, isOtherWay)] : []),
      withheld(docker, isStrange),
    )
    const credentials: CredentialProvider = {
      async find(place) {
        await records?.refresh()
        return chain.find(place)
      },
    }
    return {
      credentials,
      plainHttp: (registry) => plainHttp || named(registry) || ways.plainHttp(registry),
      way: (registry) => ways.way(registry),
      mirror: (registry) => ways.mirror(registry),
    }
  }
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

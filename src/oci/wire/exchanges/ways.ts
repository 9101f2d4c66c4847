import type { LookupFunction } from 'node:net'
import { Agent, type Dispatcher, EnvHttpProxyAgent, Pool } from 'undici'
import { isLoopback } from '../../../lib/loopback.ts'
import type { HookList, Hooks } from '../../request/hooks.ts'
import type { Reach } from '../../request/outbound.ts'
import type { RegistryRequest } from '../../request/transport.ts'
import type { ConnectOptions } from '../connections/asking-connector.ts'
import { createConnectors } from '../connections/connectors.ts'
import { watchedPools } from '../connections/send-stalls.ts'
import { createSmallConnections, type SmallConnections } from '../connections/small-connections.ts'
import type { DirectConnections } from './direct-exchange.ts'
import { askingDispatcher } from './exchange.ts'

type Lane = RegistryRequest['lane']

/** Connections past undici's agents; undefined where a proxy lies between. */
export interface OwnConnections {
  /** How to make a connection of one's own. */
  readonly direct: (url: URL) => DirectConnections | undefined
  /** Connections for small requests. */
  readonly small: (url: URL) => SmallConnections | undefined
}

/** All connections that may lead equally close to this machine. */
export interface Ways extends OwnConnections {
  /** Connections for `url`: their own for bulk, none through a proxy for loopback. */
  pick(lane: Lane, url: URL): Dispatcher
  destroy(): Promise<void>
}

/** As HTTP_PROXY, HTTPS_PROXY and NO_PROXY hold them. */
export interface Proxies {
  http?: string
  https?: string
  no?: string
}

export interface WaysOptions {
  proxy?: Proxies
  lookup?: LookupFunction
  timeouts: { connectMs: number; sendIdleMs: number }
  hooks: HookList
  /** Refuses addresses that are closer. */
  guard: (reach: Reach) => Hooks
}

export interface WaysByReach {
  of(reach: Reach): Ways
  /** What is under way fails with SHUTTING_DOWN. */
  destroy(): Promise<void>
}

/**
 * A connection that was let through for a registry of this machine must not serve what another one refers to: each reach
 * has connections of its own, made when they are first needed.
 */
export function createWays(options: WaysOptions): WaysByReach {
  const made = new Map<Reach, Ways>()
  return {
    of(reach) {
      const ways = made.get(reach) ?? waysOf(options, [...options.hooks, options.guard(reach)])
      made.set(reach, ways)
      return ways
    },
    async destroy() {
      await Promise.all(Array.from(made.values(), (ways) => ways.destroy()))
    },
  }
}

function waysOf({ proxy, lookup, timeouts }: WaysOptions, hooks: HookList): Ways {
  const { connectMs, sendIdleMs } = timeouts
  // Proxies cut idle tunnels; the socket's own keep-alive holds them and finds dead peers.
  const held = { keepAlive: true, keepAliveInitialDelay: 30_000 }
  const connect: ConnectOptions = { timeout: connectMs, ...held, ...(lookup ? { lookup } : {}), allowH2: false }
  const factory = watchedPools(sendIdleMs, hooks)
  const agentOptions: Agent.Options = { allowH2: false, connectTimeout: connectMs, connect, factory }
  const connectorFor = createConnectors(connect, hooks)
  const small = createSmallConnections({ connectorFor, sendIdleMs })
  const own: DirectConnections = { connectorFor, open: new Set() }
  const direct = { control: new Agent(agentOptions), bulk: new Agent(agentOptions) }
  // All three are always given: what is missing would be read from the environment.
  const proxyOptions = { httpProxy: proxy?.http ?? '', httpsProxy: proxy?.https ?? '', noProxy: proxy?.no ?? '' }
  const tunnels = {
    proxyTls: held,
    requestTls: held,
    // The request for a tunnel; undici would wait for its answer for five minutes.
    clientFactory: (origin: URL, options: object) => new Pool(origin, { ...options, headersTimeout: connectMs }),
  }
  const outside = { ...agentOptions, ...proxyOptions, ...tunnels }
  const proxied = proxyOptions.httpProxy !== '' || proxyOptions.httpsProxy !== ''
  const outer = proxied ? { control: new EnvHttpProxyAgent(outside), bulk: new EnvHttpProxyAgent(outside) } : direct
  const inner = askingPair(direct)
  const through = outer === direct ? inner : askingPair(outer)
  const isDirect = (url: URL) => outer === direct || isLoopback(url.hostname)
  return {
    pick: (lane, url) => (isDirect(url) ? inner : through)[lane],
    direct: (url) => (isDirect(url) ? own : undefined),
    small: (url) => (isDirect(url) ? small : undefined),
    async destroy() {
      small.destroy()
      const agents = new Set<Dispatcher>([direct.control, direct.bulk, outer.control, outer.bulk, ...own.open])
      await Promise.all(Array.from(agents, (agent) => agent.destroy()))
    },
  }
}

function askingPair(agents: Readonly<Record<Lane, Dispatcher>>): Readonly<Record<Lane, Dispatcher>> {
  return { control: askingDispatcher(agents.control), bulk: askingDispatcher(agents.bulk) }
}

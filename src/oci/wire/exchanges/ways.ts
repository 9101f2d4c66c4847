import type { LookupFunction } from 'node:net'
import { Agent, type Dispatcher } from 'undici'
import type { HookList, Hooks } from '../../request/hooks.ts'
import type { Reach } from '../../request/outbound.ts'
import type { RegistryRequest } from '../../request/transport.ts'
import type { ConnectOptions } from '../connections/asking-connector.ts'
import { createConnectors } from '../connections/connectors.ts'
import { proxied } from '../connections/proxied.ts'
import { watchedPools } from '../connections/send-stalls.ts'
import { createSmallConnections, type SmallConnections } from '../connections/small-connections.ts'
import type { DirectConnections } from './direct-exchange.ts'
import { askingDispatcher } from './exchange.ts'
import { type Proxies, proxyChoice } from './proxy-choice.ts'

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
  const agents = new Set<Dispatcher>([direct.control, direct.bulk])
  const inner = askingPair(direct)
  const proxyFor = proxyChoice(proxy ?? {})
  const outer = new Map<string, Pair>()
  const through = (url: URL): Pair => {
    const server = proxyFor(url)
    if (!server) return inner
    const key = `${url.protocol} ${server.url.href}`
    const known = outer.get(key)
    if (known) return known
    const make = () => proxied(url.protocol, server, { connectMs, held, factory })
    const made = { control: make(), bulk: make() }
    agents.add(made.control).add(made.bulk)
    const pair = askingPair(made)
    outer.set(key, pair)
    return pair
  }
  const isDirect = (url: URL) => proxyFor(url) === undefined
  return {
    pick: (lane, url) => through(url)[lane],
    direct: (url) => (isDirect(url) ? own : undefined),
    small: (url) => (isDirect(url) ? small : undefined),
    async destroy() {
      small.destroy()
      await Promise.all(Array.from([...agents, ...own.open], (agent) => agent.destroy()))
    },
  }
}

type Pair = Readonly<Record<Lane, Dispatcher>>

function askingPair(agents: Pair): Pair {
  return { control: askingDispatcher(agents.control), bulk: askingDispatcher(agents.bulk) }
}

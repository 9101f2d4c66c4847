import type { LookupFunction } from 'node:net'
import { Agent, type Dispatcher } from 'undici'
import { type HookList, type Hooks, NO_HOOKS } from '../../request/hooks.ts'
import type { Reach } from '../../request/outbound.ts'
import { COMMON_WAY, type Way } from '../../request/registry-way.ts'
import type { RegistryRequest } from '../../request/transport.ts'
import type { ConnectOptions } from '../connections/asking-connector.ts'
import { createConnectors } from '../connections/connectors.ts'
import { proxied } from '../connections/proxied.ts'
import { secureContextOf } from '../connections/secure-contexts.ts'
import { watchedPools } from '../connections/send-stalls.ts'
import { createSmallConnections, type SmallConnections } from '../connections/small-connections.ts'
import type { DirectConnections } from './direct-exchange.ts'
import { askingDispatcher } from './exchange.ts'
import { type Proxies, proxyFor } from './proxy-choice.ts'

type Lane = RegistryRequest['lane']

/** Connections past undici's agents; undefined where a proxy lies between. */
export interface OwnConnections {
  /** How to make a connection of one's own. */
  readonly direct: (url: URL) => DirectConnections | undefined
  /** Connections for small requests. */
  readonly small: (url: URL) => SmallConnections | undefined
}

/** All connections that are made one way and may lead equally close to this machine. */
export interface Ways extends OwnConnections {
  /** Connections for `url`: their own for bulk, none through a proxy for loopback. */
  pick(lane: Lane, url: URL): Dispatcher
  destroy(): Promise<void>
  /** Closes what is not in use, and the rest once it is not: what has begun ends as it would. Never rejects. */
  close(): Promise<void>
}

export interface WaysOptions {
  proxy?: Proxies
  lookup?: LookupFunction
  timeouts: { connectMs: number; sendIdleMs: number; wayIdleMs: number }
  hooks: HookList
  /** Refuses addresses that are closer. */
  guard: (reach: Reach) => Hooks
}

export interface WaysByReach {
  /** To be asked for each request: what nobody asks for is closed after a while. */
  of(reach: Reach, way: Way): Ways
  /** What is under way fails with SHUTTING_DOWN. */
  destroy(): Promise<void>
}

interface KeptWays {
  readonly way: Way
  readonly ways: Ways
  askedAt: number
}

/**
 * A connection that was let through for a registry of this machine must not serve what another one refers to, and one that was
 * made by what somebody said of a registry must not outlive that: each reach and way has connections of its own, made when they
 * are first needed. Those of the common way stay.
 */
export function createWays(options: WaysOptions): WaysByReach {
  const { wayIdleMs } = options.timeouts
  const made = new Map<string, KeptWays>()
  /** On their way out. */
  const closing = new Set<Ways>()
  const large: LargeConnections = new Set()
  let sweeping: NodeJS.Timeout | undefined
  const sweep = (): void => {
    const since = performance.now() - wayIdleMs
    for (const [key, { way, ways, askedAt }] of made) {
      if (way.id === COMMON_WAY.own.id || askedAt > since) continue
      made.delete(key)
      closing.add(ways)
      void ways.close().finally(() => closing.delete(ways))
    }
    if (made.values().every(({ way }) => way.id === COMMON_WAY.own.id)) {
      clearInterval(sweeping)
      sweeping = undefined
    }
  }
  return {
    of(reach, way) {
      const key = `${reach} ${way.id}`
      const known = made.get(key)
      const askedAt = performance.now()
      if (known) {
        known.askedAt = askedAt
        return known.ways
      }
      const ways = waysOf(options, {
        way,
        hooks: [...options.hooks, options.guard(reach)],
        proxyHooks: [options.guard(ANY_REACH)],
        large,
      })
      made.set(key, { way, ways, askedAt })
      if (way.id !== COMMON_WAY.own.id) sweeping ??= setInterval(sweep, wayIdleMs / 4).unref()
      return ways
    },
    async destroy() {
      clearInterval(sweeping)
      const all = [...Array.from(made.values(), ({ ways }) => ways), ...closing]
      await Promise.all([...all, ...large].map((each) => each.destroy()))
    },
  }
}

const ANY_REACH = 2

/** Of all ways: each of them closes with its one answer. */
type LargeConnections = DirectConnections['open']

function waysOf(
  { proxy, lookup, timeouts }: WaysOptions,
  { way, hooks, proxyHooks, large }: { way: Way; hooks: HookList; proxyHooks: HookList; large: LargeConnections },
): Ways {
  const { connectMs, sendIdleMs } = timeouts
  // Proxies cut idle tunnels; the socket's own keep-alive holds them and finds dead peers.
  const held = { keepAlive: true, keepAliveInitialDelay: 30_000 }
  const tls = { ...held, ...secureContextOf(way) }
  const connect: ConnectOptions = { timeout: connectMs, ...tls, ...(lookup ? { lookup } : {}), allowH2: false }
  // The proxy is none of the registry's own: it is shown no certificate. One that was kept may be anywhere but where nobody may go.
  const sockets = {
    toProxy: { ...held, ...secureContextOf({ ...way, clientCertificate: undefined }) },
    toTarget: tls,
    proxyHooks: way.proxy === undefined ? NO_HOOKS : proxyHooks,
  }
  const factory = watchedPools(sendIdleMs, hooks)
  const agentOptions: Agent.Options = { allowH2: false, connectTimeout: connectMs, connect, factory }
  const connectorFor = createConnectors(connect, hooks)
  const small = createSmallConnections({ connectorFor, sendIdleMs })
  const own: DirectConnections = { connectorFor, open: large }
  const direct = { control: new Agent(agentOptions), bulk: new Agent(agentOptions) }
  const agents = new Set<Dispatcher>([direct.control, direct.bulk])
  const inner = askingPair(direct)
  const serverFor = proxyFor(way, proxy ?? {})
  const outer = new Map<string, Pair>()
  const through = (url: URL): Pair => {
    const server = serverFor(url)
    if (!server) return inner
    const key = `${url.protocol} ${server.url.href}`
    const known = outer.get(key)
    if (known) return known
    const make = () => proxied(url.protocol, server, { connectMs, ...sockets, factory })
    const made = { control: make(), bulk: make() }
    agents.add(made.control).add(made.bulk)
    const pair = askingPair(made)
    outer.set(key, pair)
    return pair
  }
  const isDirect = (url: URL) => serverFor(url) === undefined
  return {
    pick: (lane, url) => through(url)[lane],
    direct: (url) => (isDirect(url) ? own : undefined),
    small: (url) => (isDirect(url) ? small : undefined),
    async destroy() {
      small.destroy()
      await Promise.all(Array.from(agents, (agent) => agent.destroy()))
    },
    async close() {
      small.retire()
      // Cut short where the process ends meanwhile.
      await Promise.allSettled(Array.from(agents, (agent) => agent.close()))
    },
  }
}

type Pair = Readonly<Record<Lane, Dispatcher>>

function askingPair(agents: Pair): Pair {
  return { control: askingDispatcher(agents.control), bulk: askingDispatcher(agents.bulk) }
}

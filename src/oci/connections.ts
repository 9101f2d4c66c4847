import { Agent, type Dispatcher, EnvHttpProxyAgent, Pool } from 'undici'
import { type Clock, systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { CONTROL_RETRY, withRetry } from '../lib/retry.ts'
import { fetchToken, maskFor, type TokenCall } from './auth/token.ts'
import { createTokenCache, type IssuedToken, type TokenKey } from './auth/token-cache.ts'
import { answerError, type CallFacts, toldHost, toldText } from './errors/errors.ts'
import { NO_SECRETS } from './errors/mask.ts'
import type { DirectConnections } from './wire/exchanges/direct-exchange.ts'
import type { OwnConnections } from './wire/exchanges/choose.ts'
import { askingDispatcher, exchange } from './wire/exchanges/exchange.ts'
import { createConnectors } from './wire/connections/connectors.ts'
import { type HookList, NO_HOOKS } from './request/hooks.ts'
import { isLoopback } from '../lib/loopback.ts'
import { createRegistryTransport } from './wire/steps/registry-transport.ts'
import { createSmallConnections } from './wire/connections/small-connections.ts'
import { createSchemes } from './wire/steps/scheme.ts'
import { watchedPools } from './wire/connections/send-stalls.ts'
import type { TransportContext } from './wire/steps/passage.ts'
import type { RegistryConnections, RegistryRequest } from './request/transport.ts'

export type { HookList } from './request/hooks.ts'

type Lane = RegistryRequest['lane']

export interface ConnectionTimeouts {
  /** TCP and TLS together. Default 10 s. */
  connectMs: number
  /** Wait for the answer of a small request. Default 60 s. */
  controlHeadersMs: number
  /** Wait for the answer to a blob: the registry may re-read or assemble gigabytes first. Default 15 min. */
  bulkHeadersMs: number
  /** How long the far end may take nothing of a body that is being sent, not the whole time. Default 60 s. */
  sendIdleMs: number
  /** Silence within an answer, not its whole time. Default 90 s. */
  bodyIdleMs: number
  /** Each question whether a port speaks TLS. Default 3 s: a plain HTTP server may wait forever for the end of a line. */
  probeMs: number
  /** A token service's whole answer. Default 30 s. */
  tokenMs: number
}

export interface ConnectionsOptions {
  /** Of layerd, for the User-Agent. */
  version: string
  /**
   * As HTTP_PROXY, HTTPS_PROXY and NO_PROXY hold them. Loopback registries never go through a proxy; https registries
   * use `http` where `https` is not given (undici's rule, not Go's).
   */
  proxy?: { http?: string; https?: string; no?: string }
  timeouts?: Partial<ConnectionTimeouts>
  /** Asked of every request of the process, tokens and the question of its scheme included. Default none. */
  hooks?: HookList
  clock?: Clock
}

const DEFAULT_TIMEOUTS: ConnectionTimeouts = {
  connectMs: 10_000,
  controlHeadersMs: 60_000,
  bulkHeadersMs: 15 * 60_000,
  sendIdleMs: 60_000,
  bodyIdleMs: 90_000,
  probeMs: 3000,
  tokenMs: 30_000,
}

/**
 * The process's connections to registries, by lane: a saturated upload starves neither a token's renewal nor a status
 * request. HTTP/1.1 only, keep-alive, no cookies (Harbor's session cookie would demand a CSRF token). Extra CAs come by
 * NODE_EXTRA_CA_CERTS. Dispose it to close the sockets; what is under way fails with SHUTTING_DOWN.
 */
export function createRegistryConnections(options: ConnectionsOptions): RegistryConnections {
  const clock = options.clock ?? systemClock
  const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts }
  const hooks = options.hooks ?? NO_HOOKS
  const pools = createPools(options.proxy, timeouts, hooks)
  const userAgent = `layerd/${options.version}`
  const lanes = {
    control: { headersTimeoutMs: timeouts.controlHeadersMs, bodyTimeoutMs: timeouts.bodyIdleMs },
    bulk: { headersTimeoutMs: timeouts.bulkHeadersMs, bodyTimeoutMs: timeouts.bodyIdleMs },
  }
  const small: SmallCalls = { pools, userAgent, hooks, clock, lane: lanes.control }
  const context: TransportContext = {
    schemes: createSchemes((url) => probe(small, url, timeouts.probeMs)),
    tokens: createTokenCache(clock, (key) => issueToken(small, key, timeouts.tokenMs)),
    plans: new Map(),
    reached: new Set(),
    clock,
    userAgent,
    hooks,
    dispatcher: (lane, url) => pools.pick(lane, url),
    direct: (url) => pools.direct(url),
    small: (url) => pools.small(url),
    timeouts: (lane) => lanes[lane],
  }
  return {
    transport: (registry, caller) => createRegistryTransport(context, registry, caller),
    [Symbol.asyncDispose]: () => pools.destroy(),
  }
}

interface Pools extends OwnConnections {
  pick(lane: Lane, url: URL): Dispatcher
  destroy(): Promise<void>
}

function createPools(
  proxy: ConnectionsOptions['proxy'],
  { connectMs, sendIdleMs }: ConnectionTimeouts,
  hooks: HookList,
): Pools {
  // Proxies cut idle tunnels; the socket's own keep-alive holds them and finds dead peers.
  const held = { keepAlive: true, keepAliveInitialDelay: 30_000 }
  const connect = { timeout: connectMs, ...held, allowH2: false }
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

/** For calls that belong to no caller: they are shared, and end by their own time limits. */
interface SmallCalls {
  pools: Pools
  userAgent: string
  hooks: HookList
  clock: Clock
  lane: { headersTimeoutMs: number; bodyTimeoutMs: number }
}

async function probe(small: SmallCalls, url: URL, limitMs: number): Promise<number> {
  const facts: CallFacts = { op: 'connect', registry: url.host, method: 'GET', url, mask: NO_SECRETS }
  return await limited(facts, limitMs, async (signal) => {
    const response = await exchange({
      dispatcher: small.pools.pick('control', url),
      facts,
      headers: { 'user-agent': small.userAgent, 'accept-encoding': 'identity' },
      hooks: small.hooks,
      signal,
      ...small.lane,
    })
    await response.discard()
    return response.status
  })
}

const TOKEN_RETRY = { ...CONTROL_RETRY, attempts: 4, maxMs: 4000, maxRetryAfterMs: 30_000 }
const MAX_TOKEN_ANSWER = 128 * 1024

function issueToken(small: SmallCalls, key: TokenKey, limitMs: number): Promise<IssuedToken> {
  const mask = maskFor(key.registry, key.credential)
  const call: TokenCall = async ({ method, url, headers, body }) => {
    const facts: CallFacts = { op: 'get a token', registry: key.registry, method, url, mask }
    return await limited(facts, limitMs, async (signal) => {
      const response = await exchange({
        dispatcher: small.pools.pick('control', url),
        facts,
        headers: {
          'user-agent': small.userAgent,
          'accept-encoding': 'identity',
          accept: 'application/json',
          ...headers,
        },
        ...(body === undefined ? {} : { body }),
        hooks: small.hooks,
        signal,
        ...small.lane,
      })
      const text = (await response.bytes(MAX_TOKEN_ANSWER)).toString('utf8')
      const answer = { status: response.status, header: (name: string) => response.header(name), text }
      return {
        ...answer,
        told: (text) => toldText(facts, text),
        error: (more) => answerError(facts, { ...answer, ...more }, small.clock.now()),
      }
    })
  }
  const signal = new AbortController().signal
  return withRetry(() => fetchToken(key, call, small.clock.now()), { policy: TOKEN_RETRY, signal, clock: small.clock })
}

async function limited<T>(facts: CallFacts, limitMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const stop = () =>
    controller.abort(
      new AppError('REGISTRY_TIMEOUT', `${facts.op}: ${toldHost(facts)} did not answer within ${limitMs} ms`, {
        op: facts.op,
      }),
    )
  const timer = setTimeout(stop, limitMs)
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
  }
}

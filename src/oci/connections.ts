import type { LookupFunction } from 'node:net'
import type { SharedLimits } from '../content/limits/registry-limits.ts'
import type { WireTrace } from '../content/wire-request.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { createTokenCache } from './auth/token-cache.ts'
import type { CallFacts } from './errors/errors.ts'
import { NO_SECRETS } from './errors/mask.ts'
import { carryByUndici } from './wire/exchanges/choose.ts'
import type { Proxies } from './wire/exchanges/proxy-choice.ts'
import { createBodyLimits } from './wire/pace/body-limits.ts'
import { createHostPaces, type PaceOptions } from './wire/pace/host-pace.ts'
import { createWays } from './wire/exchanges/ways.ts'
import { type HookList, NO_HOOKS, type RemoteAddress } from './request/hooks.ts'
import { createRegistryTransport } from './wire/steps/registry-transport.ts'
import { callCloud } from './wire/steps/cloud-calls.ts'
import { createSchemes } from './wire/steps/scheme.ts'
import { limited, type SharedCalls } from './wire/steps/shared-calls.ts'
import { issueToken } from './wire/steps/token-calls.ts'
import type { TransportContext } from './wire/steps/passage.ts'
import { recorder } from './trace/recorder.ts'
import { ANYWHERE, Outbound, type OutboundPolicy, type Reach } from './request/outbound.ts'
import type { RegistryWay } from './request/registry-way.ts'
import type { RegistryConnections } from './request/transport.ts'

export { createMask } from './errors/mask.ts'
export { remainingOf } from './wire/pace/remaining.ts'
export type { HookList } from './request/hooks.ts'
export { COMMON_WAY, type RegistryWay, registryWay } from './request/registry-way.ts'
export { createOutboundPolicy, type OutboundPolicy } from './request/outbound.ts'

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
  /** The connection, with TLS, of each question whether a port speaks TLS. Default 3 s: a plain HTTP server may wait forever for the end of a line. */
  probeMs: number
  /** A whole answer of a token service, or of a cloud. Default 30 s. */
  tokenMs: number
  /** How long connections that are made one registry's own way are kept once nobody asks for them. Default 1 min. */
  wayIdleMs: number
}

export interface ConnectionsOptions {
  /** Of layerd, for the User-Agent. */
  version: string
  /** As HTTP_PROXY, HTTPS_PROXY and NO_PROXY hold them; what they say is in proxy-choice.ts. */
  proxy?: Proxies
  /** Which registries may be spoken to, and where they may be. Default: all, anywhere but link-local. */
  policy?: OutboundPolicy
  /** Told of an address that the policy refuses, which no answer tells. Default: nobody. */
  onRefused?: (found: RemoteAddress) => void
  /** Finds the addresses of a name. Default: the system's way. */
  lookup?: LookupFunction
  timeouts?: Partial<ConnectionTimeouts>
  /** Asked of every request of the process, tokens and the question of its scheme included. Default none. */
  hooks?: HookList
  /** Waits after an answer that requests are limited. */
  pace?: Omit<PaceOptions, 'clock' | 'shared'>
  /** What is set for registries, and what other processes ask of them. Default: nothing is, and there are none. */
  limits?: SharedLimits
  /** Told of requests that callers share: for tokens, and the question of a registry's scheme. Default: nobody. */
  sharedTrace?: WireTrace
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
  wayIdleMs: 60_000,
}

/**
 * The process's connections to registries, by lane: a saturated upload starves neither a token's renewal nor a status
 * request. HTTP/1.1 only, keep-alive, no cookies (Harbor's session cookie would demand a CSRF token). Which CAs are believed
 * is the process's (config/certificates.ts), and beside them what a caller's way says (registry-way.ts). Dispose it to close the sockets; what is under way fails with SHUTTING_DOWN.
 */
export function createRegistryConnections(options: ConnectionsOptions): RegistryConnections {
  const clock = options.clock ?? systemClock
  const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts }
  const hooks = options.hooks ?? NO_HOOKS
  const outbound = new Outbound(options.policy ?? ANYWHERE, options.onRefused)
  const ways = createWays({ ...options, timeouts, hooks, guard: (reach) => outbound.guard(reach) })
  const userAgent = `layerd/${options.version}`
  const lanes = {
    control: { headersTimeoutMs: timeouts.controlHeadersMs, bodyTimeoutMs: timeouts.bodyIdleMs },
    bulk: { headersTimeoutMs: timeouts.bulkHeadersMs, bodyTimeoutMs: timeouts.bodyIdleMs },
  }
  const { paces, bodies } = pacesOf(options, clock)
  const { sharedTrace: trace } = options
  const sharedHooks = trace ? [...hooks, recorder({ trace, clock, shared: true })] : hooks
  const calls: SharedCalls = { ways, userAgent, hooks: sharedHooks, paces, clock, lane: lanes.control }
  const context: TransportContext = {
    schemes: createSchemes((url, { host, way }, onConnected) => {
      const asked = { url, registry: host, way, reach: outbound.own(host), onConnected }
      return probe(calls, asked, timeouts.probeMs)
    }, timeouts.probeMs),
    tokens: createTokenCache(clock, (key) => issueToken(calls, key, timeouts.tokenMs)),
    plans: new Map(),
    reached: new Set(),
    paces,
    bodies,
    clock,
    userAgent,
    hooks,
    outbound,
    ways: (reach, way) => ways.of(reach, way),
    timeouts: (lane) => lanes[lane],
  }
  return {
    transport: (registry, caller) => createRegistryTransport(context, registry, caller),
    cloud: (request) => callCloud(calls, request, { schemes: context.schemes, outbound, limitMs: timeouts.tokenMs }),
    async [Symbol.asyncDispose]() {
      paces[Symbol.dispose]()
      await ways.destroy()
    },
  }
}

interface Probed {
  url: URL
  registry: string
  way: RegistryWay
  reach: Reach
  onConnected: () => void
}

function pacesOf({ pace, limits: shared }: Pick<ConnectionsOptions, 'pace' | 'limits'>, clock: Clock) {
  const paces = createHostPaces({ ...pace, clock, ...(shared ? { shared } : {}) })
  const bodies = createBodyLimits({ clock, closed: paces.closed, shared })
  shared?.listen({
    paused: (host, told) => paces.paused(host, told),
    freed: (registry) => bodies.freed(registry),
    gap: () => paces.lookAgain(),
  })
  return { paces, bodies }
}

/** The limit is for the connection: what answers late is there all the same (oci-client.md P1). */
async function probe(
  calls: SharedCalls,
  { url, registry, way, reach, onConnected }: Probed,
  limitMs: number,
): Promise<number> {
  const facts: CallFacts = { op: 'connect', registry, method: 'GET', url, mask: NO_SECRETS }
  const pace = calls.paces.of(url.host)
  if (!pace.open) await pace.turn({})
  return await limited(facts, limitMs, async (signal, unlimited) => {
    const beforeSend = (): void => {
      unlimited()
      onConnected()
    }
    const sent = pace.sent()
    const response = await carryByUndici({
      call: facts,
      dispatcher: calls.ways.of(reach, way.own).pick('control', url),
      facts,
      headers: { 'user-agent': calls.userAgent, 'accept-encoding': 'identity' },
      hooks: [...calls.hooks, { beforeSend }],
      signal,
      ...calls.lane,
    })
    pace.answered(sent, response)
    await response.discard()
    return response.status
  })
}

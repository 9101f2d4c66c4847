import { AppError } from '../../lib/errors.ts'
import { OUTBOUND_REFUSED } from '../errors/refused-address.ts'
import { OWN_ADDRESS } from '../errors/not-allowed.ts'
import { registryKey } from '../facts/registry-name.ts'
import { addressCloseness, type Closeness, closeness } from './network-address.ts'
import type { Hooks, RemoteAddress } from './hooks.ts'

/** How close to this machine an address may be that is connected to. Nothing leads to what is closer: link-local, metadata. */
export type Reach = 0 | 1 | 2

/** Which registries may be spoken to, as `host[:port]`. */
export interface OutboundPolicy {
  /** Throws REGISTRY_NOT_ALLOWED where a registry may not be spoken to at all, or its name alone tells that it is too close. */
  readonly check: (registry: string) => void
  /** How close a registry may be. Throws REGISTRY_NOT_ALLOWED where it may not be spoken to at all. */
  readonly reach: (registry: string) => Reach
}

/** All registries, wherever they are. */
export const ANYWHERE: OutboundPolicy = { check: () => undefined, reach: () => 2 }

export interface OutboundRules {
  /** `host[:port]`, or `*.host[:port]` for all names below it. Undefined: all registries. */
  readonly allowed: readonly string[] | undefined
  /** Those that may be anywhere. */
  readonly named: readonly string[]
  /** Of others that may be, asked each time. Default: none. */
  readonly isNamed?: (registry: string) => boolean
  /** Whether all others may be anywhere too. */
  readonly anywhere: boolean
}

export function createOutboundPolicy({ allowed, named, isNamed, anywhere }: OutboundRules): OutboundPolicy {
  const free = new Set(named.map(registryKey))
  const names = allowed && new Set(allowed.map((name) => (name.startsWith('*.') ? name : registryKey(name))))
  const reach = (registry: string): Reach => {
    const key = registryKey(registry)
    if (names && !isAmong(names, key)) throw notListed(registry)
    return anywhere || free.has(key) || isNamed?.(key) === true ? 2 : 0
  }
  return {
    reach,
    check(registry) {
      if (closeness(new URL(`http://${registry}`).hostname) > reach(registry)) throw tooClose(registry)
    },
  }
}

/** A list is short, a name's dots are few. */
function isAmong(names: ReadonlySet<string>, registry: string): boolean {
  if (names.has(registry)) return true
  for (let dot = registry.indexOf('.'); dot !== -1; dot = registry.indexOf('.', dot + 1)) {
    if (names.has(`*${registry.slice(dot)}`)) return true
  }
  return false
}

function notListed(registry: string): AppError {
  return new AppError('REGISTRY_NOT_ALLOWED', `the registry ${registry} is none of those that this layerd speaks to`, {
    upstream: { registry },
    hint: 'LAYERD_ALLOWED_REGISTRIES lists them.',
  })
}

function tooClose(registry: string): AppError {
  return new AppError('REGISTRY_NOT_ALLOWED', `the registry ${registry} may not be contacted`, {
    upstream: { registry },
    hint: OWN_ADDRESS,
  })
}

/** More registries than a process speaks to at a time. */
const HOSTS_KEPT = 2000

/**
 * Keeps requests from leading closer to this machine than they may: a caller's registry where the policy lets it be, and
 * what that registry names (redirects, upload locations, token services) no closer than where it was itself found, the port
 * that the caller named aside: a name whose DNS answers otherwise later is not let into what else listens there. Names are
 * judged by the addresses that are connected to; behind a proxy, which looks them up for itself, by what they say.
 */
export class Outbound {
  readonly #policy: OutboundPolicy
  readonly #onRefused: (found: RemoteAddress) => void
  /** The least close address that each host was found at. */
  readonly #found = new Map<string, Closeness>()

  constructor(policy: OutboundPolicy, onRefused: (found: RemoteAddress) => void = () => undefined) {
    this.#policy = policy
    this.#onRefused = onRefused
  }

  /** Of the registry's own addresses. Throws as the policy does. */
  own(registry: string): Reach {
    return this.#policy.reach(registry)
  }

  /** Of an address that a registry at `base` names. */
  named(registry: string, base: URL, target: URL): Reach {
    const own = this.own(registry)
    if (target.origin === base.origin) return own
    return Math.min(own, this.#found.get(base.hostname) ?? closeness(base.hostname)) as Reach
  }

  /** For connections that lead so close at most. */
  guard(reach: Reach): Hooks {
    return {
      onConnect: (found) => {
        const { hostname, address } = found
        const close = addressCloseness(address)
        if (close <= reach) return this.#keep(hostname, close)
        this.#onRefused(found)
        // Told by networkError, which knows what was being done.
        throw Object.assign(new Error(`${hostname} is at ${address}`), { code: OUTBOUND_REFUSED })
      },
    }
  }

  /** The least close: who answers for a name may say a private address now and then, and would be led there by it. */
  #keep(hostname: string, close: Closeness): void {
    const least = Math.min(close, this.#found.get(hostname) ?? close) as Closeness
    this.#found.delete(hostname)
    this.#found.set(hostname, least)
    const [oldest] = this.#found.keys()
    if (this.#found.size > HOSTS_KEPT && oldest !== undefined) this.#found.delete(oldest)
  }
}

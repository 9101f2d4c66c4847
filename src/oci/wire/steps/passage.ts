import type { Clock } from '../../../lib/clock.ts'
import type { RetryBudget } from '../../../lib/retry-budget.ts'
import type { Authorization, Authorizer, Plan } from '../../auth/authorizer.ts'
import type { CallerCredential } from '../../auth/caller-credential.ts'
import type { TokenCache } from '../../auth/token-cache.ts'
import type { CallFacts } from '../../errors/errors.ts'
import type { Mask } from '../../errors/mask.ts'
import { apiHost } from '../../facts/registry-name.ts'
import type { HookList } from '../../request/hooks.ts'
import type { Outbound, Reach } from '../../request/outbound.ts'
import type { RegistryWay, Way } from '../../request/registry-way.ts'
import type { OnTraits, OnWait, RegistryRequest, RegistryResponse } from '../../request/transport.ts'
import type { BodyPace } from '../exchanges/body-pace.ts'
import type { Ways } from '../exchanges/ways.ts'
import type { BodyLimitsByRegistry } from '../pace/body-limits.ts'
import type { HostPaces } from '../pace/host-pace.ts'
import type { Schemes } from './scheme.ts'

type Lane = RegistryRequest['lane']

/** What all transports of a process share. */
export interface TransportContext {
  readonly schemes: Schemes
  readonly tokens: TokenCache
  /** How registries want to be asked, by origin. */
  readonly plans: Map<string, Plan>
  /** Registries that have answered this process. */
  readonly reached: Set<string>
  /** When requests may go out. */
  readonly paces: HostPaces
  /** What bodies of blobs may take. */
  readonly bodies: BodyLimitsByRegistry
  readonly clock: Clock
  readonly userAgent: string
  /** Of every request of the process. */
  readonly hooks: HookList
  readonly outbound: Outbound
  /** Connections that are made that way and lead so close to this machine at most. */
  readonly ways: (reach: Reach, way: Way) => Ways
  readonly timeouts: (lane: Lane) => { headersTimeoutMs: number; bodyTimeoutMs: number }
}

/** One caller at one registry. */
export interface Sender {
  readonly context: TransportContext
  readonly registry: string
  readonly plainHttp: boolean
  readonly way: RegistryWay
  /** TransportCaller's. */
  readonly paced: boolean
  readonly credential: CallerCredential
  readonly authorizer: Authorizer
  /** What it shows of itself. */
  readonly mask: Mask
  /** TransportCaller's. */
  readonly mayUse: () => void
  /** TransportCaller's. */
  readonly budget: RetryBudget | undefined
  /** TransportCaller's. */
  readonly onWait: OnWait | undefined
  /** TransportCaller's. */
  readonly onTraits: OnTraits | undefined
  /** The process's, and those of the caller. */
  readonly hooks: HookList
  /** The registry has let this caller in, be it without asking anything. */
  answered: boolean
}

/** A request on its way. */
export interface Passage {
  readonly sender: Sender
  readonly request: RegistryRequest
  /** Statuses that its caller wants to see. */
  readonly allow: readonly number[]
}

/** The same once it is known where it goes. */
export interface LocatedPassage extends Passage {
  /** The registry's own origin. */
  readonly base: URL
  readonly target: URL
  /** How close to this machine `target` may be. */
  readonly reach: Reach
  readonly authorization?: Authorization
  /** Where it carries the body of a blob that may have to wait. */
  readonly bodyPace?: BodyPace
}

export type Send<P> = (passage: P) => Promise<RegistryResponse>

/**
 * What every request passes as a whole: a step may wait, change what it hands on, hand it on again, or judge the answer.
 * What has to be asked at an exact moment is no step but a hook (request/hooks.ts).
 */
export type Step<P> = (passage: P, next: Send<P>) => Promise<RegistryResponse>

/** The steps as one, the first of them outermost; put together once, so that a request makes no functions. */
export function inOrder<P>(steps: readonly Step<P>[], last: Send<P>): Send<P> {
  return steps.reduceRight<Send<P>>((next, step) => (passage) => step(passage, next), last)
}

export function callFacts({ sender, request }: Pick<Passage, 'sender' | 'request'>, url: URL): CallFacts {
  const repository = request.scopes[0]?.repository
  return {
    op: request.op,
    registry: sender.registry,
    ...(repository === undefined ? {} : { repository }),
    method: request.method,
    url,
    ...(typeof request.target === 'string' && !request.named ? { asked: request.target } : {}),
    reached: sender.context.reached.has(sender.registry),
    mask: sender.mask,
  }
}

/** Whether an address is the registry's own; what storage answers to a presigned URL says nothing about the log-in. */
export function isRegistry(sender: Pick<Sender, 'registry'>, url: URL): boolean {
  const host = apiHost(sender.registry)
  // Only a name that is written in another way needs to be read as an address.
  return host === url.host || new URL(`${url.protocol}//${host}`).host === url.host
}

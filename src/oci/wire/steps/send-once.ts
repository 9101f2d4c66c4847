import type { Dispatcher } from 'undici'
import type { Clock } from '../../../lib/clock.ts'
import { AppError, type ErrorCode } from '../../../lib/errors.ts'
import type { RetryBudget } from '../../../lib/retry-budget.ts'
import type { Authorization, Authorizer, Plan } from '../../auth/authorizer.ts'
import { refusalVerdict, staleTokenError } from '../../auth/refusal.ts'
import type { TokenCache } from '../../auth/token-cache.ts'
import type { RegistryCredential } from '../../credentials/provider.ts'
import { type Answer, answerError, type CallFacts, upstreamOf } from '../../errors/errors.ts'
import { DIRECT_MIN_BYTES, type DirectConnections, directExchange } from '../exchanges/direct-exchange.ts'
import { exchange, type Exchange, readStart } from '../exchanges/exchange.ts'
import { checkTarget, MAX_HOPS, redirectTarget, sameOrigin, tooManyHops } from '../../request/redirect.ts'
import { isSmall, smallExchange } from '../exchanges/small-exchange.ts'
import type { SmallConnections } from '../connections/small-connections.ts'
import { apiHost } from '../../facts/registry-name.ts'
import type { Schemes } from './scheme.ts'
import type { RegistryRequest, RegistryResponse } from '../../request/transport.ts'

type Lane = RegistryRequest['lane']

/** What all transports of a process share. */
export interface TransportContext {
  readonly schemes: Schemes
  readonly tokens: TokenCache
  /** How registries want to be asked, by name. */
  readonly plans: Map<string, Plan>
  /** Registries that have answered this process. */
  readonly reached: Set<string>
  readonly clock: Clock
  readonly userAgent: string
  /** Connections for `url`: their own for bulk, none through a proxy for loopback. */
  readonly dispatcher: (lane: Lane, url: URL) => Dispatcher
  /** How to make a connection of one's own; undefined where a proxy lies between. */
  readonly direct: (url: URL) => DirectConnections | undefined
  /** Connections for small requests; undefined where a proxy lies between. */
  readonly small: (url: URL) => SmallConnections | undefined
  readonly timeouts: (lane: Lane) => { headersTimeoutMs: number; bodyTimeoutMs: number }
}

/** One caller at one registry. */
export interface Sender {
  readonly context: TransportContext
  readonly registry: string
  readonly plainHttp: boolean
  credential: RegistryCredential | undefined
  authorizer: Authorizer
  /** TransportCaller's. */
  readonly mayUse: () => void
  /** TransportCaller's. */
  readonly budget: RetryBudget | undefined
  /** The registry has let this caller in, be it without asking anything. */
  answered: boolean
}

/** Statuses handed back rather than thrown: what they mean depends on the call. */
const HANDED_BACK = new Set([404, 405, 416])
const MAX_ERROR_BODY = 64 * 1024
/** The first try, one that answers the challenge, one with a renewed token. */
const MAX_ROUNDS = 3
/** Something else may listen there now. */
const UNSETTLING = new Set<ErrorCode>([
  'REGISTRY_UNREACHABLE',
  'REGISTRY_TLS',
  'REGISTRY_CONNECTION_LOST',
  'REGISTRY_PROTOCOL_VIOLATION',
])

export function callFacts(sender: Sender, request: RegistryRequest, url: URL): CallFacts {
  const repository = request.scopes[0]?.repository
  return {
    op: request.op,
    registry: sender.registry,
    ...(repository === undefined ? {} : { repository }),
    method: request.method,
    url,
    reached: sender.context.reached.has(sender.registry),
  }
}

/** One request with its log-in and its redirects, without retries. Throws REGISTRY_* for statuses that are not `allow`ed. */
export async function sendOnce(
  sender: Sender,
  request: RegistryRequest,
  allow: readonly number[],
): Promise<RegistryResponse> {
  const { context, registry } = sender
  try {
    const base = await context.schemes.base(registry, sender.plainHttp, request.signal)
    const target = typeof request.target === 'string' ? new URL(`${base.origin}${request.target}`) : request.target
    checkTarget(callFacts(sender, request, target), target, base)
    const response = await sendAuthorized(sender, request, base, target)
    const { status } = response
    if (status < 400 || HANDED_BACK.has(status) || allow.includes(status)) return response
    const refused = status === 401 && isRegistry(sender, response.url)
    const verdict = refused ? refusalVerdict(response, sender.credential, request.scopes) : undefined
    throw await failure(sender, callFacts(sender, request, response.url), response, verdict ? { verdict } : {})
  } catch (error) {
    if (error instanceof AppError && UNSETTLING.has(error.code)) context.schemes.forget(registry)
    throw error
  }
}

/** The error for an answer; reads and closes its body. */
export async function failure(
  sender: Sender,
  facts: CallFacts,
  response: RegistryResponse,
  more: Pick<Answer, 'complaint' | 'verdict'>,
): Promise<AppError> {
  const text = await readStart(response, MAX_ERROR_BODY)
  const redirected = !isRegistry(sender, response.url)
  const answer: Answer = { status: response.status, text, ...more, redirected, header: (name) => response.header(name) }
  return answerError(facts, answer, sender.context.clock.now())
}

/** Whether an address is the registry's own; what storage answers to a presigned URL says nothing about the log-in. */
function isRegistry(sender: Sender, url: URL): boolean {
  const host = apiHost(sender.registry)
  // Only a name that is written in another way needs to be read as an address.
  return host === url.host || new URL(`${url.protocol}//${host}`).host === url.host
}

async function sendAuthorized(
  sender: Sender,
  request: RegistryRequest,
  base: URL,
  target: URL,
): Promise<RegistryResponse> {
  const { authorizer } = sender
  const { scopes, signal } = request
  // Authorization goes to the registry's own origin and nowhere else, also where a Location points elsewhere.
  if (!sameOrigin(target, base)) return await sendFollowing(sender, request, { base, target })
  let used = await authorizer.authorize(scopes, signal)
  for (let round = 1; ; round += 1) {
    const response = await sendFollowing(sender, request, { base, target, ...(used ? { authorization: used } : {}) })
    sender.context.reached.add(sender.registry)
    if (response.status !== 401 || !isRegistry(sender, response.url)) {
      sender.answered = true
      if (used?.token) used.token.accepted = true
      return response
    }
    if (round === MAX_ROUNDS) return response
    const facts = callFacts(sender, request, response.url)
    const challenge = response.header('www-authenticate')
    const next = await authorizer.answer({ facts, base, scopes, challenge, used, again: round > 1 }, signal)
    if (next === undefined) return response
    await response.discard()
    if (typeof request.body === 'function') throw staleTokenError(request.op, upstreamOf(facts))
    used = next
  }
}

interface Hop {
  base: URL
  target: URL
  authorization?: Authorization
}

async function sendFollowing(sender: Sender, request: RegistryRequest, first: Hop): Promise<RegistryResponse> {
  const mayFollow = request.method === 'GET' || request.method === 'HEAD'
  let hop = first
  for (let hops = 0; ; hops += 1) {
    const response = await sendHop(sender, request, hop)
    if (!mayFollow || request.followRedirects === false) return response
    const facts = callFacts(sender, request, hop.target)
    const { status } = response
    const target = redirectTarget(facts, { status, location: response.header('location') }, hop.base)
    if (target === undefined) return response
    await response.discard()
    if (hops === MAX_HOPS) throw tooManyHops(facts)
    const keep = hop.authorization !== undefined && sameOrigin(target, hop.target)
    hop = keep ? { ...hop, target } : { base: hop.base, target }
  }
}

async function sendHop(sender: Sender, request: RegistryRequest, hop: Hop): Promise<RegistryResponse> {
  const { context } = sender
  const { method, body, lane, signal, guard } = request
  const contentLength = guard && Buffer.isBuffer(body) ? body.length : request.contentLength
  sender.mayUse()
  const headers: Record<string, string> = {
    'user-agent': context.userAgent,
    // Digests and ranges are over the bytes as they are stored; a proxy that compresses would break both.
    'accept-encoding': 'identity',
    ...request.headers,
    ...(hop.authorization ? { authorization: hop.authorization.header } : {}),
    ...(contentLength === undefined ? {} : { 'content-length': String(contentLength) }),
  }
  const call: Exchange = {
    dispatcher: context.dispatcher(lane, hop.target),
    facts: { ...callFacts(sender, request, hop.target), method },
    headers,
    ...(body === undefined ? {} : { body }),
    ...(guard ? { guard } : {}),
    mayUse: sender.mayUse,
    signal,
    ...context.timeouts(lane),
  }
  const small = isSmall(request) ? context.small(hop.target) : undefined
  if (small) return await smallExchange(call, small)
  const direct = isLarge(request) ? context.direct(hop.target) : undefined
  return direct ? await directExchange(call, direct) : await exchange(call)
}

function isLarge({ method, expectedBytes = 0 }: RegistryRequest): boolean {
  return method === 'GET' && expectedBytes >= DIRECT_MIN_BYTES
}

import { CONTROL_RETRY, withRetry } from '../../../lib/retry.ts'
import { fetchToken, maskFor, type TokenCall, type TokenRequest } from '../../auth/token.ts'
import type { IssuedToken, TokenKey } from '../../auth/token-cache.ts'
import { answerError, type CallFacts, toldText } from '../../errors/errors.ts'
import { checkTarget, MAX_HOPS, redirectTarget, tooManyHops } from '../../request/redirect.ts'
import { wayTo } from '../../request/registry-way.ts'
import type { RegistryResponse } from '../../request/transport.ts'
import { carrySmall } from '../exchanges/choose.ts'
import { paced } from '../pace/paced.ts'
import { limited, type SharedCalls } from './shared-calls.ts'

/** What is waited for here is told to nobody; what lasts longer is, by the requests that need the token. */
const TOKEN_PATIENCE_MS = 30_000
const TOKEN_RETRY = { ...CONTROL_RETRY, attempts: 4, maxMs: 4000, maxRetryAfterMs: 30_000 }
const MAX_TOKEN_ANSWER = 128 * 1024

/** A token for all who ask alike, within `limitMs` for each answer of the token service. */
export function issueToken(calls: SharedCalls, key: TokenKey, limitMs: number): Promise<IssuedToken> {
  const mask = maskFor(key.registry, key.credential)
  const call: TokenCall = async (request) => {
    const { registry, scopes } = key
    const facts = { op: 'get a token', registry, scopes, method: request.method, url: request.url, mask }
    const { url, ...answer } = await followed(calls, { key, facts, request, reach: key.reach }, limitMs)
    const found: CallFacts = { ...facts, url }
    return {
      ...answer,
      told: (text) => toldText(found, text),
      error: (more) => answerError(found, { ...answer, ...more }, calls.clock.now()),
    }
  }
  const signal = new AbortController().signal
  return withRetry(() => fetchToken(key, call, calls.clock.now()), { policy: TOKEN_RETRY, signal, clock: calls.clock })
}

interface Hop {
  key: TokenKey
  facts: CallFacts
  request: TokenRequest
  reach: TokenKey['reach']
}

interface HopAnswer {
  url: URL
  status: number
  header: (name: string) => string | undefined
  text: string
}

/**
 * The answer that redirects lead to. A password goes along on the same host alone; a form with a token in it goes nowhere
 * else, and only where the method stays (307, 308): else the redirect is the answer. Source: what Go's net/http does.
 */
async function followed(calls: SharedCalls, first: Hop, limitMs: number): Promise<HopAnswer> {
  let hop = first
  for (let hops = 0; ; hops += 1) {
    const answer = await paced(calls.paces.of(hop.facts.url.host), {
      clock: calls.clock,
      subject: hop,
      send: (asked) => answered(calls, asked, limitMs),
      repeatable: true,
      patienceMs: TOKEN_PATIENCE_MS,
      waiting: () => ({}),
      discard: async () => undefined,
    })
    const { facts, request, reach } = hop
    const target = redirectTarget(facts, { status: answer.status, location: answer.header('location') })
    if (target === undefined) return answer
    const stays = isSameHost(facts.url, target)
    if (request.body && !(stays && answer.status >= 307)) return answer
    checkTarget(facts, target, facts.url, reach)
    if (hops === MAX_HOPS) throw tooManyHops(facts)
    const { authorization, ...others } = request.headers
    const headers = stays && authorization !== undefined ? { ...others, authorization } : others
    hop = { ...hop, facts: { ...facts, url: target }, request: { ...request, headers } }
  }
}

function answered(calls: SharedCalls, hop: Hop, limitMs: number): Promise<HopAnswer> {
  return limited(hop.facts, limitMs, async (signal) => {
    const response = await sent(calls, { ...hop, signal })
    const text = (await response.bytes(MAX_TOKEN_ANSWER)).toString('utf8')
    const { status, url } = response
    return { status, url, header: (name) => response.header(name), text }
  })
}

function sent(
  calls: SharedCalls,
  { key, facts, request, reach, signal }: Hop & { signal: AbortSignal },
): Promise<RegistryResponse> {
  const ways = calls.ways.of(reach, wayTo(key.way, new URL(key.base), facts.url))
  const call = {
    call: key,
    dispatcher: ways.pick('control', facts.url),
    facts,
    headers: {
      'user-agent': calls.userAgent,
      'accept-encoding': 'identity',
      accept: 'application/json',
      ...request.headers,
    },
    ...(request.body === undefined ? {} : { body: request.body }),
    hooks: calls.hooks,
    signal,
    ...calls.lane,
  }
  return carrySmall(call, ways)
}

/** Another port is another service, but for http's and https' own. */
function isSameHost(from: URL, to: URL): boolean {
  if (to.hostname !== from.hostname) return false
  const upgraded = from.protocol === 'http:' && to.protocol === 'https:' && from.port === '' && to.port === ''
  return upgraded || to.origin === from.origin
}

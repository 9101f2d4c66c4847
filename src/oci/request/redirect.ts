import { AppError } from '../../lib/errors.ts'
import { type CallFacts, toldHost, toldUrl, upstreamOf } from '../errors/errors.ts'
import { closeness } from './network-address.ts'

export const MAX_HOPS = 5
const FOLLOWED = new Set([301, 302, 303, 307, 308])

/** Where a GET or HEAD is sent on to, or undefined when the answer is no redirect. Throws REGISTRY_PROTOCOL_VIOLATION or REGISTRY_NOT_ALLOWED. */
export function redirectTarget(
  facts: CallFacts,
  answer: { status: number; location: string | undefined },
  base: URL,
): URL | undefined {
  if (!FOLLOWED.has(answer.status)) return undefined
  const target = answer.location === undefined ? null : URL.parse(answer.location, facts.url.href)
  if (target === null) {
    throw new AppError(
      'REGISTRY_PROTOCOL_VIOLATION',
      `${facts.op}: ${toldHost(facts)} answered ${answer.status} without a usable Location`,
      { op: facts.op, upstream: { ...upstreamOf(facts), status: answer.status } },
    )
  }
  // A downgrade on a later hop is one as well.
  if (facts.url.protocol === 'https:' && target.protocol === 'http:') throw inClear(facts, target)
  checkTarget(facts, target, base)
  return target
}

/**
 * Refuses addresses that a registry at `base` has no business to send us to: other schemes, https to http, and addresses
 * closer to this machine than the registry's own (a public registry must not reach into a private network or this host).
 * Throws REGISTRY_NOT_ALLOWED; with one text for all that lies close, so that nothing is learnt by probing.
 */
export function checkTarget(facts: CallFacts, target: URL, base: URL): void {
  if (target.protocol !== 'https:' && target.protocol !== 'http:') throw notAllowed(facts)
  if (base.protocol === 'https:' && target.protocol === 'http:') throw inClear(facts, target)
  if (target.hostname !== base.hostname && closeness(target.hostname) > closeness(base.hostname))
    throw notAllowed(facts)
}

export function tooManyHops(facts: CallFacts): AppError {
  return new AppError(
    'REGISTRY_PROTOCOL_VIOLATION',
    `${facts.op}: the registry ${facts.registry} redirects more than ${MAX_HOPS} times`,
    { op: facts.op, upstream: upstreamOf(facts) },
  )
}

/** Most often a registry behind a proxy that ends TLS, which does not know its own outside address. */
function inClear(facts: CallFacts, target: URL): AppError {
  return new AppError(
    'REGISTRY_NOT_ALLOWED',
    `${facts.op}: the registry ${facts.registry} is spoken to over https but refers to ${toldUrl(facts, target)} (its token service, its storage or its own address), where passwords and tokens would travel in clear`,
    {
      op: facts.op,
      upstream: upstreamOf(facts),
      hint: 'Let the registry name its outside address with https: its token realm, its external URL, or X-Forwarded-Proto from the proxy before it.',
    },
  )
}

function notAllowed(facts: CallFacts): AppError {
  return new AppError(
    'REGISTRY_NOT_ALLOWED',
    `${facts.op}: the registry ${facts.registry} refers to an address that may not be contacted`,
    {
      op: facts.op,
      upstream: upstreamOf(facts),
      hint: 'Check the addresses that the registry gives out (its token service, its storage, its own external URL).',
    },
  )
}

/** Same scheme, host and port; URL drops default ports. */
export function sameOrigin(a: URL, b: URL): boolean {
  return a.origin === b.origin
}

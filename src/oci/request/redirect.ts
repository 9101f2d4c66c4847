import { AppError } from '../../lib/errors.ts'
import { type CallFacts, toldHost, upstreamOf } from '../errors/errors.ts'
import { inClear, notAllowed } from '../errors/not-allowed.ts'
import { closeness } from './network-address.ts'
import type { Reach } from './outbound.ts'

export const MAX_HOPS = 5
const SEE_OTHER = 303

/** Whether an answer sends a request elsewhere as it is, whatever its method; 303 asks for a GET. */
export function isRedirect(status: number): boolean {
  return [301, 302, 307, 308].includes(status)
}

/**
 * Where a request is sent on to, or undefined when the answer is no redirect; checkTarget's to judge. Every method stays what it is:
 * an upload is not made by a GET, as browsers would make of a POST, so 303 means nothing to one. Throws
 * REGISTRY_PROTOCOL_VIOLATION or REGISTRY_NOT_ALLOWED.
 */
export function redirectTarget(
  facts: CallFacts,
  answer: { status: number; location: string | undefined },
): URL | undefined {
  const reads = facts.method === 'GET' || facts.method === 'HEAD'
  if (!isRedirect(answer.status) && !(answer.status === SEE_OTHER && reads)) return undefined
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
  return target
}

/**
 * Refuses addresses that a registry at `base` has no business to send us to: other schemes, https to http, and addresses
 * closer to this machine than `reach` (a public registry must not lead into a private network or to this host); names are
 * judged when they are connected to. Throws REGISTRY_NOT_ALLOWED; with one text for all that lies close, so that nothing is
 * learnt by probing.
 */
export function checkTarget(facts: CallFacts, target: URL, base: URL, reach: Reach): void {
  if (target.protocol !== 'https:' && target.protocol !== 'http:') throw notAllowed(facts, target)
  if (base.protocol === 'https:' && target.protocol === 'http:') throw inClear(facts, target)
  if (closeness(target.hostname) > reach) throw notAllowed(facts, target)
}

export function tooManyHops(facts: CallFacts): AppError {
  return new AppError(
    'REGISTRY_PROTOCOL_VIOLATION',
    `${facts.op}: the registry ${facts.registry} redirects more than ${MAX_HOPS} times`,
    { op: facts.op, upstream: upstreamOf(facts) },
  )
}

/** Same scheme, host and port; URL drops default ports. */
export function sameOrigin(a: URL, b: URL): boolean {
  return a.origin === b.origin
}

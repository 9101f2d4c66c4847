import { AppError } from '../../lib/errors.ts'
import { apiHost } from '../facts/registry-name.ts'
import { type CallFacts, toldUrl, upstreamOf } from './errors.ts'

/** Most often a registry behind a proxy that ends TLS, which does not know its own outside address. */
export function inClear(facts: CallFacts, target: URL): AppError {
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

/** One text for all addresses that are too close to this machine, so that nothing is learnt by asking for them. `target`: default the request's own. */
export function notAllowed(facts: CallFacts, target = facts.url, cause?: unknown): AppError {
  const own = target.host === apiHost(facts.registry)
  const said = own ? 'may not be contacted' : 'refers to an address that may not be contacted'
  return new AppError('REGISTRY_NOT_ALLOWED', `${facts.op}: the registry ${facts.registry} ${said}`, {
    op: facts.op,
    upstream: upstreamOf(facts),
    hint: own ? OWN_ADDRESS : NAMED_ADDRESS,
    cause,
  })
}

/** What to do about a registry that is too close. */
export const OWN_ADDRESS =
  'Registries in private networks and on this machine have to be named by a setting (LAYERD_ALLOW_PRIVATE, LAYERD_PLAIN_HTTP_REGISTRIES) where layerd serves other machines; link-local addresses are never contacted.'
const NAMED_ADDRESS =
  'Check the addresses that the registry gives out (its token service, its storage, its own external URL).'

import { checkTarget, MAX_HOPS, redirectTarget, sameOrigin, tooManyHops } from '../../request/redirect.ts'
import type { RegistryResponse } from '../../request/transport.ts'
import { callFacts, type LocatedPassage, type Send } from './passage.ts'

/**
 * Follows redirects, without credentials across origins. A body that streams is its sender's to open again: the answer is
 * handed back.
 */
export async function redirects(passage: LocatedPassage, next: Send<LocatedPassage>): Promise<RegistryResponse> {
  const { body, followRedirects } = passage.request
  if (typeof body === 'function' || followRedirects === false) return await next(passage)
  const { sender } = passage
  let hop = passage
  for (let hops = 0; ; hops += 1) {
    const response = await next(hop)
    const facts = callFacts(passage, hop.target)
    const { status } = response
    const target = redirectTarget(facts, { status, location: response.header('location') })
    if (target === undefined) return response
    const reach = sender.context.outbound.named(sender.registry, hop.base, target)
    checkTarget(facts, target, hop.base, reach)
    await response.discard()
    if (hops === MAX_HOPS) throw tooManyHops(facts)
    const { authorization, ...rest } = hop
    const keep = authorization !== undefined && sameOrigin(target, hop.target)
    hop = keep ? { ...rest, authorization, target, reach } : { ...rest, target, reach }
  }
}

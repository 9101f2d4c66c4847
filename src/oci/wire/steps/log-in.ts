import { staleTokenError } from '../../auth/refusal.ts'
import { upstreamOf } from '../../errors/errors.ts'
import { sameOrigin } from '../../request/redirect.ts'
import type { RegistryResponse } from '../../request/transport.ts'
import { callFacts, isRegistry, type LocatedPassage, type Send } from './passage.ts'

/** The first try, one that answers the challenge, one with a renewed token. */
const MAX_ROUNDS = 3

/** Shows who is asking, and answers a registry that wants to know more. */
export async function logIn(passage: LocatedPassage, next: Send<LocatedPassage>): Promise<RegistryResponse> {
  const { sender, request, base, target } = passage
  const { authorizer } = sender
  const { scopes, signal } = request
  // Authorization goes to the registry's own origin and nowhere else, also where a Location points elsewhere.
  if (!sameOrigin(target, base)) return await next(passage)
  let used = await authorizer.authorize(scopes, signal)
  for (let round = 1; ; round += 1) {
    const response = await next(used ? { ...passage, authorization: used } : passage)
    sender.context.reached.add(sender.registry)
    if (response.status !== 401 || !isRegistry(sender, response.url)) {
      sender.answered = true
      if (used?.token) used.token.accepted = true
      return response
    }
    if (round === MAX_ROUNDS) return response
    const facts = callFacts(passage, response.url)
    const challenge = response.header('www-authenticate')
    const better = await authorizer.answer({ facts, base, scopes, challenge, used, again: round > 1 }, signal)
    if (better === undefined) return response
    await response.discard()
    if (typeof request.body === 'function') throw staleTokenError(request.op, upstreamOf(facts))
    used = better
  }
}

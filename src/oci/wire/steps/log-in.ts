import type { Authorization } from '../../auth/authorizer.ts'
import { refusalVerdict, staleTokenError } from '../../auth/refusal.ts'
import { basicHeader, basicPair } from '../../auth/token.ts'
import type { CachedToken } from '../../auth/token-cache.ts'
import { upstreamOf } from '../../errors/errors.ts'
import { sameOrigin } from '../../request/redirect.ts'
import type { RegistryRequest, RegistryResponse } from '../../request/transport.ts'
import { failure } from './judgement.ts'
import { callFacts, isRegistry, type LocatedPassage, type Send } from './passage.ts'

/** The first try, one that answers the challenge, one with a renewed token. */
const MAX_ROUNDS = 3

/** Shows who is asking, and answers a registry that wants to know more. Throws REGISTRY_* for a 401 that stays. */
export async function logIn(passage: LocatedPassage, next: Send<LocatedPassage>): Promise<RegistryResponse> {
  const { sender, request, base, target } = passage
  const { authorizer } = sender
  const { scopes, signal } = request
  // Authorization goes to the registry's own origin and nowhere else, also where a Location points elsewhere.
  if (request.anonymous || !sameOrigin(target, base)) return await next(passage)
  const { first, mostRounds } = request.basic ? AS_BASIC : AS_ASKED
  let used = await first(passage)
  for (let round = 1; ; round += 1) {
    if (used?.token) sender.mask.add(used.token.value)
    const response = await next(used ? { ...passage, authorization: used } : passage)
    sender.context.reached.add(sender.registry)
    if (response.status !== 401 || !isRegistry(sender, response.url)) {
      sender.answered = true
      if (used?.token) learnFrom(used.token, request, response)
      return response
    }
    const facts = callFacts(passage, response.url)
    const challenge = response.header('www-authenticate')
    const better =
      round === mostRounds
        ? undefined
        : await authorizer.answer({ facts, base, scopes, challenge, used, again: round > 1 }, signal)
    if (better === undefined) return await refused(passage, next, { response, used })
    await response.discard()
    if (typeof request.body === 'function') throw staleTokenError(request.op, upstreamOf(facts))
    used = better
  }
}

const AS_ASKED = {
  mostRounds: MAX_ROUNDS,
  first: ({ sender, request, base }: LocatedPassage) =>
    sender.authorizer.authorize(request.scopes, base, request.signal),
}

/** User and password as they are; nothing without any. */
const AS_BASIC = {
  mostRounds: 1,
  async first({ sender, request }: LocatedPassage): Promise<Authorization | undefined> {
    const pair = basicPair(await sender.credential.find(request.signal))
    return pair && { header: basicHeader(pair), scopes: '' }
  },
}

function learnFrom(token: CachedToken, { method }: RegistryRequest, { status }: RegistryResponse): void {
  token.accepted = true
  // What is read may be open to all.
  if (status < 400 && method !== 'GET' && method !== 'HEAD') token.proven = true
}

/** The 401 as its caller wants it: the answer itself, or an error that says what to do. */
async function refused(
  passage: LocatedPassage,
  next: Send<LocatedPassage>,
  { response, used }: { response: RegistryResponse; used: Authorization | undefined },
): Promise<RegistryResponse> {
  if (passage.allow.includes(401)) return response
  const { sender, request } = passage
  const verdict = refusalVerdict({
    registry: sender.registry,
    credential: sender.credential.current,
    scopes: request.scopes,
    challenge: response.header('www-authenticate'),
    used,
    inClear: passage.base.protocol === 'http:',
    letIn: await isLetIn(passage, next, used),
  })
  throw await failure(passage, response, { verdict })
}

/**
 * Whether a password or token that was refused here is a right one. Basic has no word for "known, but may not", so the
 * registry is asked for nothing but entry, and once more without anything, as many let all the world in.
 */
async function isLetIn(
  passage: LocatedPassage,
  next: Send<LocatedPassage>,
  used: Authorization | undefined,
): Promise<boolean> {
  if (used === undefined || used.token) return false
  const { base, sender, allow } = passage
  const request: RegistryRequest = { ...ENTRY, signal: passage.request.signal }
  const target = new URL(ENTRY.target, base)
  const asking = { sender, request, allow, base, target, reach: sender.context.outbound.own(sender.registry) }
  const enters = async (as: LocatedPassage): Promise<boolean> => {
    const answer = await next(as)
    await answer.discard()
    return answer.status < 300
  }
  try {
    return (await enters({ ...asking, authorization: used })) && !(await enters(asking))
  } catch {
    // It is the refusal that is told.
    return false
  }
}

const ENTRY = { method: 'GET', target: '/v2/', scopes: [], lane: 'control', op: 'log in' } as const

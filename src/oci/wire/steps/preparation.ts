import type { RegistryRequest, RegistryResponse, Scope } from '../../request/transport.ts'
import type { Passage, Send, Sender } from './passage.ts'
import { retrying } from './retries.ts'

/** Nothing is sent for a caller that may send nothing any more, and no stream is opened before the way in is known. */
export async function preparation(passage: Passage, next: Send<Passage>): Promise<RegistryResponse> {
  const { sender, request } = passage
  sender.mayUse()
  if (typeof request.body === 'function') await logInAhead(sender, request, next)
  return await next(passage)
}

/**
 * A body that streams cannot be sent twice for the price of one, so the way in is learnt and a token fetched before its
 * first byte: by a ping where the registry has not been heard yet. Its answer decides nothing: registries behind
 * namespaced proxies lack /v2/, and the request itself will tell.
 */
export async function logInAhead(
  sender: Sender,
  { scopes, signal }: { scopes: readonly Scope[]; signal: AbortSignal },
  next: Send<Passage>,
): Promise<void> {
  sender.mayUse()
  const base = await sender.context.schemes.base(sender, signal)
  const knew = sender.authorizer.knows(scopes, base)
  if (knew || sender.answered) {
    try {
      await sender.authorizer.authorize(scopes, base, signal)
    } finally {
      // What it knew was wrong, so its being let in before means nothing now.
      if (knew && !sender.authorizer.knows(scopes, base)) sender.answered = false
    }
    if (!knew || sender.authorizer.knows(scopes, base)) return
  }
  const request: RegistryRequest = { method: 'GET', target: '/v2/', scopes, lane: 'control', op: 'log in', signal }
  const response = await retrying({ sender, request, allow: ANY_REFUSAL }, next)
  await response.discard()
}

const ANY_REFUSAL = Array.from({ length: 100 }, (_, index) => 400 + index)

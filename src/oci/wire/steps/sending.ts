import { wayTo } from '../../request/registry-way.ts'
import type { RegistryResponse } from '../../request/transport.ts'
import { carry } from '../exchanges/choose.ts'
import type { Exchange } from '../exchanges/exchange.ts'
import { callFacts, type LocatedPassage } from './passage.ts'

/** The end of the way: one request goes out and its answer comes, whatever the status. */
export async function sending(passage: LocatedPassage): Promise<RegistryResponse> {
  const { sender, request, base, target, reach, authorization, bodyPace } = passage
  const { context } = sender
  const { body, lane, signal, guard } = request
  const contentLength = guard && Buffer.isBuffer(body) ? body.length : request.contentLength
  sender.mayUse()
  const headers: Record<string, string> = {
    'user-agent': context.userAgent,
    // Digests and ranges are over the bytes as they are stored; a proxy that compresses would break both.
    'accept-encoding': 'identity',
    ...request.headers,
    ...(authorization ? { authorization: authorization.header } : {}),
    ...(contentLength === undefined ? {} : { 'content-length': String(contentLength) }),
  }
  const ways = context.ways(reach, wayTo(sender.way, base, target))
  const call: Exchange = {
    call: request,
    dispatcher: ways.pick(lane, target),
    facts: callFacts(passage, target),
    headers,
    ...(body === undefined ? {} : { body }),
    ...(guard ? { guard } : {}),
    ...(bodyPace ? { bodyPace } : {}),
    hooks: sender.hooks,
    signal,
    ...context.timeouts(lane),
  }
  return await carry(request, call, ways)
}

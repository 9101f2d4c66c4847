import { AppError, type ErrorCode } from '../../../lib/errors.ts'
import { checkTarget } from '../../request/redirect.ts'
import type { RegistryResponse } from '../../request/transport.ts'
import { callFacts, type LocatedPassage, type Passage, type Send } from './passage.ts'
import { waitOf } from './waits.ts'

/** Something else may listen there now. */
const UNSETTLING = new Set<ErrorCode>([
  'REGISTRY_UNREACHABLE',
  'REGISTRY_TLS',
  'REGISTRY_CONNECTION_LOST',
  'REGISTRY_PROTOCOL_VIOLATION',
])

/** Finds out where the request goes: by which scheme, and to whom a Location leads. */
export async function locate(passage: Passage, next: Send<LocatedPassage>): Promise<RegistryResponse> {
  const { sender, request, allow } = passage
  const { schemes, outbound } = sender.context
  try {
    await pauseBefore(passage, schemes.asks(sender))
    const base = await schemes.base(sender, request.signal)
    const target = typeof request.target === 'string' ? new URL(`${base.origin}${request.target}`) : request.target
    const reach = outbound.named(sender.registry, base, target)
    checkTarget(callFacts(passage, target), target, base, reach)
    return await next({ sender, request, allow, base, target, reach })
  } catch (error) {
    if (error instanceof AppError && UNSETTLING.has(error.code)) schemes.forget(sender)
    throw error
  }
}

/** The question of a scheme waits as any request does, but is nobody's own: so whoever needs it tells of the wait. */
async function pauseBefore({ sender, request }: Passage, asked: URL | undefined): Promise<void> {
  if (asked === undefined || !sender.paced) return
  const pace = sender.context.paces.of(asked.host)
  if (!pace.open) await pace.pause(waitOf({ sender, request, target: asked }, 0))
}

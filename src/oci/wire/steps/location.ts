import { AppError, type ErrorCode } from '../../../lib/errors.ts'
import { checkTarget } from '../../request/redirect.ts'
import type { RegistryResponse } from '../../request/transport.ts'
import { callFacts, type LocatedPassage, type Passage, type Send } from './passage.ts'

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

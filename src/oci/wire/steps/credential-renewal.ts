import { isAppError } from '../../../lib/errors.ts'
import { staleTokenError } from '../../auth/refusal.ts'
import type { RegistryResponse } from '../../request/transport.ts'
import type { Passage, Send } from './passage.ts'

/**
 * Passwords of cloud registries live for hours and jobs may wait longer, so a refusal that no new token cures is put to
 * who found the credential; another one than before is worth one more try.
 */
export async function renewal(passage: Passage, next: Send<Passage>): Promise<RegistryResponse> {
  const { sender, request } = passage
  const { age } = sender.credential
  try {
    return await next(passage)
  } catch (error) {
    const refused = isAppError(error) && error.code === 'REGISTRY_UNAUTHORIZED' && error.retry === 'permanent'
    if (!refused || !(await sender.credential.renew(age, request.signal))) throw error
    if (typeof request.body === 'function') throw staleTokenError(request.op, { ...error.upstream })
    return await next(passage)
  }
}

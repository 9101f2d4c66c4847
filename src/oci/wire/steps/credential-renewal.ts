import { type AppError, isAppError } from '../../../lib/errors.ts'
import { staleTokenError } from '../../auth/refusal.ts'
import { saysSpent, upstreamOf } from '../../errors/errors.ts'
import type { RegistryResponse } from '../../request/transport.ts'
import { readStart } from '../exchanges/exchange.ts'
import { callFacts, isRegistry, type Passage, type Send } from './passage.ts'

const MAX_PEEKED = 64 * 1024

/**
 * Passwords of cloud registries live for hours and jobs may wait longer, so a refusal that no new token cures is put to
 * who found the credential; another one than before is worth one more try.
 */
export async function renewal(passage: Passage, next: Send<Passage>): Promise<RegistryResponse> {
  const { sender, request } = passage
  const { age } = sender.credential
  const first = await tried(passage, next)
  if (!first.spent || !(await sender.credential.renew(age, request.signal))) {
    if (first.error) throw first.error
    return first.response
  }
  await first.response?.discard()
  if (typeof request.body === 'function') {
    throw staleTokenError(
      request.op,
      first.error ? { ...first.error.upstream } : upstreamOf(callFacts(passage, first.response.url)),
    )
  }
  return await next(passage)
}

type Tried =
  | { readonly response: RegistryResponse; readonly error?: undefined; readonly spent: boolean }
  | { readonly response?: undefined; readonly error: AppError; readonly spent: true }

/** `spent`: the credential may have run out. */
async function tried(passage: Passage, next: Send<Passage>): Promise<Tried> {
  const { sender, request } = passage
  const isBasic = () => sender.credential.current?.kind === 'basic'
  try {
    const response = await next(passage)
    // ECR says so with 403, which callers may want to see for themselves.
    if (response.status !== 403 || !isBasic() || !isRegistry(sender, response.url)) return { response, spent: false }
    if (request.method === 'HEAD') return { response, spent: true }
    const text = await readStart(response, MAX_PEEKED)
    return { response: again(response, text), spent: saysSpent(text) }
  } catch (error) {
    if (!isAppError(error) || error.retry !== 'permanent') throw error
    // To a HEAD it cannot say why.
    const mute = error.code === 'REGISTRY_DENIED' && request.method === 'HEAD' && error.upstream?.status === 403
    if (error.code !== 'REGISTRY_UNAUTHORIZED' && !(mute && isBasic())) throw error
    return { error, spent: true }
  }
}

/** The answer with a body that was read, and is out of its coding. */
function again(response: RegistryResponse, text: string): RegistryResponse {
  const bytes = Buffer.from(text)
  return {
    ...response,
    header: (name) => (name.toLowerCase() === 'content-encoding' ? undefined : response.header(name)),
    body: (async function* () {
      yield bytes
    })(),
    bytes: async () => bytes,
    discard: async () => undefined,
    abandon: () => undefined,
  }
}

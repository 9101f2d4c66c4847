import { type AppError, isAppError } from '../../../lib/errors.ts'
import { CONTROL_RETRY, type RetryPolicy, withRetry } from '../../../lib/retry.ts'
import { createAuthorizer } from '../../auth/authorizer.ts'
import { staleTokenError } from '../../auth/refusal.ts'
import { credentialId } from '../../auth/token-cache.ts'
import { callFacts, failure, type Sender, sendOnce, type TransportContext } from './send-once.ts'
import type {
  RegistryRequest,
  RegistryResponse,
  RegistryTransport,
  Scope,
  TransportCaller,
} from '../../request/transport.ts'

/**
 * A registry that has never answered is most likely a wrong address: four tries within about four seconds outlast a
 * restart's gap, and a job that cannot succeed still fails at once instead of after CONTROL_RETRY's minute.
 */
const FIRST_CONTACT_RETRY: RetryPolicy = { attempts: 4, baseMs: 500, maxMs: 2000, maxRetryAfterMs: 0 }
const FIRST_CONTACT_MS = 4000
const NO_RETRY: RetryPolicy = { ...FIRST_CONTACT_RETRY, attempts: 1 }

/** One registry as one caller sees it; see RegistryTransport. */
export function createRegistryTransport(
  context: TransportContext,
  registry: string,
  caller: TransportCaller,
): RegistryTransport {
  const { credential } = caller
  const authorizer = createAuthorizer({ ...context, registry, credential })
  const { plainHttp, mayUse = () => {}, budget } = caller
  const sender: Sender = { context, registry, plainHttp, credential, authorizer, mayUse, budget, answered: false }
  return {
    registry,
    send(request, { allow = [] } = {}) {
      const once = async () => {
        sender.mayUse()
        if (typeof request.body === 'function') await prepare(sender, request.scopes, request.signal)
        return await sendOnce(sender, request, allow)
      }
      const renewing = () => withNewCredential(sender, caller, request, once)
      return request.lane === 'bulk' ? renewing() : sendRetrying(sender, request, renewing)
    },
    refreshAuth: (scopes, signal) => prepare(sender, scopes, signal),
    async error(request, response, message) {
      const facts = callFacts(sender, request, response.url)
      return await failure(sender, facts, response, message === undefined ? {} : { complaint: message })
    },
  }
}

/**
 * Passwords of cloud registries live for hours and jobs may wait longer, so a refusal that no new token cures is put to
 * who found the credential; another one than before is worth one more try.
 */
async function withNewCredential(
  sender: Sender,
  caller: TransportCaller,
  request: RegistryRequest,
  once: () => Promise<RegistryResponse>,
): Promise<RegistryResponse> {
  try {
    return await once()
  } catch (error) {
    const refused = isAppError(error) && error.code === 'REGISTRY_UNAUTHORIZED' && error.retry === 'permanent'
    if (!refused || caller.renew === undefined) throw error
    const credential = await caller.renew(request.signal)
    if (credentialId(credential) === credentialId(sender.credential)) throw error
    sender.credential = credential
    sender.authorizer = createAuthorizer({ ...sender.context, registry: sender.registry, credential })
    if (typeof request.body === 'function') throw staleTokenError(request.op, { ...error.upstream })
    return await once()
  }
}

function sendRetrying(
  sender: Sender,
  request: RegistryRequest,
  once: () => Promise<RegistryResponse>,
): Promise<RegistryResponse> {
  const { clock, reached } = sender.context
  const start = clock.now()
  const policy = (error: AppError): RetryPolicy => {
    if (error.code === 'SHUTTING_DOWN') return NO_RETRY
    if (reached.has(sender.registry)) return CONTROL_RETRY
    return clock.now() - start < FIRST_CONTACT_MS ? FIRST_CONTACT_RETRY : NO_RETRY
  }
  const { signal, onRetry } = request
  return withRetry(once, { policy, signal, clock, budget: sender.budget, ...(onRetry ? { onRetry } : {}) })
}

/**
 * A body that streams cannot be sent twice for the price of one, so the way in is learnt and a token fetched before its
 * first byte: by a ping where the registry has not been heard yet. Its answer decides nothing: registries behind
 * namespaced proxies lack /v2/, and the request itself will tell.
 */
async function prepare(sender: Sender, scopes: readonly Scope[], signal: AbortSignal): Promise<void> {
  sender.mayUse()
  if (sender.authorizer.knows(scopes) || sender.answered) {
    await sender.authorizer.authorize(scopes, signal)
    return
  }
  const ping: RegistryRequest = { method: 'GET', target: '/v2/', scopes, lane: 'control', op: 'log in', signal }
  const response = await sendRetrying(sender, ping, () => sendOnce(sender, ping, ANY_REFUSAL))
  await response.discard()
}

const ANY_REFUSAL = Array.from({ length: 100 }, (_, index) => 400 + index)

import type { AppError } from '../lib/errors.ts'
import { CONTROL_RETRY, type RetryPolicy, withRetry } from '../lib/retry.ts'
import { createAuthorizer } from './auth/authorizer.ts'
import type { RegistryCredential } from './credentials/provider.ts'
import { callFacts, failure, type Sender, sendOnce, type TransportContext } from './send-once.ts'
import type { RegistryRequest, RegistryResponse, RegistryTransport, Scope } from './transport.ts'

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
  options: { credential: RegistryCredential | undefined; plainHttp: boolean },
): RegistryTransport {
  const authorizer = createAuthorizer({ ...context, registry, credential: options.credential })
  const sender: Sender = { ...options, context, registry, authorizer, answered: false }
  return {
    registry,
    async send(request, { allow = [] } = {}) {
      const once = () => sendOnce(sender, request, allow)
      const first =
        typeof request.body === 'function' ? () => prepare(sender, request.scopes, request.signal) : undefined
      if (request.lane === 'bulk') {
        await first?.()
        return await once()
      }
      return await sendRetrying(sender, request, async () => {
        await first?.()
        return await once()
      })
    },
    refreshAuth: (scopes, signal) => prepare(sender, scopes, signal),
    async error(request, response, message) {
      const facts = callFacts(sender, request, response.url)
      return await failure(sender, facts, response, message === undefined ? {} : { complaint: message })
    },
  }
}

function sendRetrying(
  sender: Sender,
  request: RegistryRequest,
  once: () => Promise<RegistryResponse>,
): Promise<RegistryResponse> {
  const { clock, reached } = sender.context
  const start = clock.now()
  const policy = (_error: AppError): RetryPolicy => {
    if (reached.has(sender.registry)) return CONTROL_RETRY
    return clock.now() - start < FIRST_CONTACT_MS ? FIRST_CONTACT_RETRY : NO_RETRY
  }
  const { signal, onRetry } = request
  return withRetry(once, { policy, signal, clock, ...(onRetry ? { onRetry } : {}) })
}

/**
 * A body that streams cannot be sent twice for the price of one, so the way in is learnt and a token fetched before its
 * first byte: by a ping where the registry has not been heard yet. Its answer decides nothing: registries behind
 * namespaced proxies lack /v2/, and the request itself will tell.
 */
async function prepare(sender: Sender, scopes: readonly Scope[], signal: AbortSignal): Promise<void> {
  if (sender.authorizer.knows(scopes) || sender.answered) {
    await sender.authorizer.authorize(scopes, signal)
    return
  }
  const ping: RegistryRequest = { method: 'GET', target: '/v2/', scopes, lane: 'control', op: 'log in', signal }
  const response = await sendRetrying(sender, ping, () => sendOnce(sender, ping, ANY_REFUSAL))
  await response.discard()
}

const ANY_REFUSAL = Array.from({ length: 100 }, (_, index) => 400 + index)

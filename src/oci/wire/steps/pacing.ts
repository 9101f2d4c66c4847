import { AppError } from '../../../lib/errors.ts'
import type { RegistryRequest, RegistryResponse } from '../../request/transport.ts'
import { LONGEST_PAUSE_MS } from '../pace/host-pace.ts'
import { paced, PATIENCE_MS } from '../pace/paced.ts'
import { failure } from './judgement.ts'
import type { LocatedPassage, Send } from './passage.ts'
import { waitOf } from './waits.ts'

/** Waits out the pause of a host before it is looked who asks: a token would run out meanwhile. */
export async function pausing(passage: LocatedPassage, next: Send<LocatedPassage>): Promise<RegistryResponse> {
  const { sender } = passage
  const pace = sender.context.paces.of(passage.target.host)
  if (sender.paced && !pace.open) await pace.pause(waitOf(passage, 0))
  return await next(passage)
}

/**
 * A request goes out when its host lets it (HostPace), and again at the same address when it was refused for now. Throws
 * REGISTRY_THROTTLED where that goes on for ten minutes, or where it was to wait longer than that.
 */
export async function pacing(passage: LocatedPassage, next: Send<LocatedPassage>): Promise<RegistryResponse> {
  const { sender, request, target, allow } = passage
  const { clock, paces } = sender.context
  if (!sender.paced) return unpaced(passage, next)
  const repeatable = isRepeatable(request) && !allow.includes(429)
  const { pulls } = paces.of(target.host)
  if (!pulls.open && isPull(request, target)) await pulls.turn(waitOf(passage, 0))
  const response = await paced(paces.of(target.host), {
    clock,
    subject: passage,
    send: next,
    repeatable,
    patienceMs: PATIENCE_MS,
    waiting: waitOf,
    discard,
  })
  if (response.status !== 429 || !repeatable) return response
  throw endOfPatience(await failure(passage, response))
}

/** Goes out at once; others wait for what it was answered. */
async function unpaced(passage: LocatedPassage, next: Send<LocatedPassage>): Promise<RegistryResponse> {
  const pace = passage.sender.context.paces.of(passage.target.host)
  const sent = pace.sent()
  const response = await next(passage)
  pace.answered(sent, response)
  return response
}

function discard(refused: RegistryResponse): Promise<void> {
  return refused.discard()
}

/** What Docker Hub counts. Source: oci-client.md E4. */
function isPull({ method }: RegistryRequest, { pathname }: URL): boolean {
  return method === 'GET' && pathname.includes('/manifests/')
}

/** What a PATCH had brought when it was refused is asked first: some registries append whatever comes (oci-client.md U19). */
function isRepeatable({ method }: RegistryRequest): boolean {
  return method !== 'PATCH'
}

/** Whoever gets it waits no longer here: to them it is a Retry-After past the cap. */
function endOfPatience(error: AppError): AppError {
  if ((error.retryAfterMs ?? 0) > LONGEST_PAUSE_MS) return error
  return new AppError('REGISTRY_THROTTLED', `${error.message}; so it did for ${PATIENCE_MS / 60_000} minutes`, {
    retryAfterMs: LONGEST_PAUSE_MS + 1,
    ...(error.op === undefined ? {} : { op: error.op }),
    ...(error.upstream ? { upstream: error.upstream } : {}),
    cause: error,
  })
}

import type { Descriptor } from '../../content/descriptor.ts'
import type { MountAnswer, MountCandidate } from '../../content/endpoints.ts'
import type { Digest } from '../../content/digest.ts'
import { isAppError } from '../../lib/errors.ts'
import { sameDigest } from '../pull/blobs.ts'
import { noted, pushScope, type RepositoryContext, uploadsPath } from '../request/repository-context.ts'
import type { SessionPool } from './sessions/session-pool.ts'
import type { CallOptions, RegistryRequest } from '../request/transport.ts'
import { sessionLocation } from './sessions/upload-requests.ts'

/**
 * How registries say that they know no mount, or none from there; the 500 of one that trips over the question would not
 * go away with another try, and the push itself meets whatever else is wrong.
 */
const REFUSALS = [400, 422, 500, 501]
/** Where nothing but the destination is named, a 403 is about the question too. */
const ANONYMOUS_REFUSALS = [...REFUSALS, 403]

/**
 * Asks the registry to link the blob in place of taking its bytes: from each candidate in turn until one works. A refusal
 * (202) opens a session, which the next push takes, so who has to send has lost no request by asking once. Not asked for is
 * what the caller's other credentials may read.
 * Source: OCI distribution-spec v1.1.1 "Mounting a blob from another repository".
 */
export async function mountFromAny(
  context: RepositoryContext,
  pool: SessionPool,
  mount: { descriptor: Descriptor; candidates: readonly MountCandidate[] },
  options: CallOptions,
): Promise<MountCandidate | undefined> {
  for (const candidate of mount.candidates) {
    if (candidate.repository === undefined && context.learned.anonymousMount === false) continue
    if (candidate.repository !== undefined && !(await context.mayMountFrom(candidate.repository))) {
      candidate.answered?.('denied')
      continue
    }
    const ask = { digest: mount.descriptor.digest, from: candidate.repository }
    const answer = await mountBlob(context, pool, ask, options)
    candidate.answered?.(answer === 'opened' ? 'refused' : answer)
    if (answer === 'mounted') return candidate
  }
  return undefined
}

/** Asks for one mount. `opened`: it was refused with a session, which the pool keeps. */
export async function mountBlob(
  context: RepositoryContext,
  pool: SessionPool,
  { digest, from }: { digest: Digest; from: string | undefined },
  options: CallOptions,
): Promise<MountAnswer | 'opened'> {
  const query = new URLSearchParams({ mount: digest, ...(from === undefined ? {} : { from }) })
  const request: RegistryRequest = {
    method: 'POST',
    target: `${uploadsPath(context)}?${query.toString()}`,
    headers: { 'content-length': '0' },
    // Destination first: some registries look at the first scope alone.
    scopes: [...pushScope(context), ...(from === undefined ? [] : [{ repository: from, actions: ['pull'] as const }])],
    lane: 'control',
    op: 'mount blob',
    ...options,
  }
  try {
    const response = await context.transport.send(request, {
      allow: from === undefined ? ANONYMOUS_REFUSALS : REFUSALS,
    })
    const { status } = response
    if (status === 202) {
      pool.keep(noted(context, await sessionLocation(context, request, response)))
      return 'opened'
    }
    await response.discard()
    if (from === undefined && status >= 400) context.learned.anonymousMount = false
    return status === 201 && sameDigest(response.header('docker-content-digest'), digest) ? 'mounted' : 'refused'
  } catch (error) {
    if (from !== undefined && isForGood(error)) return 'denied'
    throw error
  }
}

/** The right to read the other repository, or a token for both, may be missing where the right to push here is not. */
function isForGood(error: unknown): boolean {
  return isAppError(error) && error.retry === 'permanent' && error.code.startsWith('REGISTRY_')
}

import { isAppError } from '../../lib/errors.ts'
import { blobExists } from '../pull/blobs.ts'
import { mountBlob } from './mount.ts'
import type { BlobPush } from './push-state.ts'
import { KEPT_SESSION_MIN_BYTES, type RepositoryContext } from '../request/repository-context.ts'

/** A package with fewer small layers gains nothing from knowing. */
const WORTH_LEARNING = 16

/*
 * HEAD and POST in one request: a mount of a blob from the very repository it is to go to. distribution, and what is built
 * on it, links a blob that is there to itself and says 201, else opens the session (202) that has to be opened anyway.
 * A registry that does not know mounts answers 202 to both, so a 202 counts as "not there" only where a blob that had just
 * been sent was answered with 201; and a 201 is asked about by HEAD before it counts. Where blobs are found HEAD is what
 * asks, so that nothing is linked without need. Source: OCI distribution-spec v1.1.1 "Mounting a blob from another repository".
 */

/** Whether a push of so many bytes asks by mount. Larger ones are few, and may have a session to go on with. */
export function asksByMount({ learned, seen }: RepositoryContext, size: number): boolean {
  return seen.lacking && learned.selfMount === true && learned.singlePost !== true && size < KEPT_SESSION_MIN_BYTES
}

/** Whether the repository holds the blob; where it does not, a session may be ready in the pool. */
export async function isThere(push: BlobPush): Promise<boolean> {
  const { context, descriptor, pool, call } = push
  // Other repositories are asked with a request that opens a session too.
  const byMount = asksByMount(context, descriptor.size) && push.mountFrom.length === 0
  const from = context.repository
  const answer = byMount ? await mountBlob(context, pool, { digest: descriptor.digest, from }, call) : undefined
  if (answer === 'opened') return false
  const there = await blobExists(context, descriptor, call)
  context.seen.lacking = !there
  if (byMount && !(answer === 'mounted' && there)) context.learned.selfMount = false
  return there
}

export function countSent({ context, descriptor }: BlobPush): void {
  context.seen.sent += 1
  context.seen.newest = descriptor.digest
}

/** Tries once, with a blob that is known to be there. A no has opened the session that the push is about to need. */
export async function learnSelfMount(push: BlobPush): Promise<void> {
  const { context, pool, call } = push
  const { learned, seen } = context
  if (learned.selfMount !== undefined || seen.sent < WORTH_LEARNING || seen.newest === undefined) return
  learned.selfMount = 'asking'
  try {
    const ask = { digest: seen.newest, from: context.repository }
    learned.selfMount = (await mountBlob(context, pool, ask, call)) === 'mounted'
  } catch (error) {
    // What the push itself is about to ask may fare better.
    learned.selfMount = isAppError(error) && error.retry === 'permanent' ? false : undefined
    if (call.signal.aborted) throw error
  }
}

import { AppError } from '../../lib/errors.ts'
import { saidBy } from '../errors/errors.ts'
import { advance, type BlobPush } from './push-state.ts'
import { placeName } from '../request/repository-context.ts'
import { type SessionStatus, uploadLost } from './sessions/upload-requests.ts'

/*
 * A 416 says that the bytes don't begin where the registry stands. Where it then says itself that it stands there, it is
 * the bytes that it does not want, however often they come: R2 takes parts of one size alone, others one PATCH. So after
 * a few they are sent in another way: in parts that are all of one size, then as docker does. What worked in the end is
 * known of the registry from then on.
 */

/** Bytes of a request that broke off may still be on their way into the registry. Source: oci-client.md U21. */
const MOST_REFUSALS = 3
/** Equal parts, a stream, and once more where a cut led to a part again. */
const MOST_OTHER_WAYS = 3

/** Bytes from `offset` on were answered with 416. Next it is asked where it stands. Throws REGISTRY_UPLOAD_LOST. */
export async function outOfRange(
  push: BlobPush,
  offset: number,
  refusal: { inPart: boolean; answer: AppError },
): Promise<void> {
  const { context, descriptor, rangeRefusal } = push
  push.flowing = false
  // Quay's way to count, and that of earlier Gitea and Forgejo.
  if (offset === push.acknowledged + 1) context.learned.uploads.rangeBias = 1
  const times = rangeRefusal?.offset === offset ? rangeRefusal.times + 1 : 1
  push.rangeRefusal = { offset, times, ...refusal }
  const last = times >= MOST_REFUSALS
  if (last && push.ownCount) return goAnotherWay(push)
  const reason = `it answered ${saidBy(refusal.answer)} to the bytes from ${offset} on`
  if (!push.ownCount) push.brokenBy = refusal.answer
  // How far they went is not known.
  await advance(push, push.ownCount ? { type: 'gone', reason } : { type: 'cut', sent: descriptor.size })
  if (!last) throw uploadLost(context, descriptor.digest, reason, refusal.answer)
}

/** Whether the registry has refused bytes that begin where it stands as often as it may. */
export function isRefusedThere({ refused, rangeRefusal }: BlobPush, status: SessionStatus): boolean {
  if (!refused || !rangeRefusal || rangeRefusal.times < MOST_REFUSALS) return false
  // It has told another place, and from there it came to the same end: so it would for ever.
  if (rangeRefusal.times > MOST_REFUSALS) return true
  // It tells no place, or none any more: it has not told another one.
  if (!status.alive || status.offset === undefined) return true
  return status.offset === rangeRefusal.offset
}

/** Begins the blob anew in a way that the registry may take. Throws REGISTRY_REJECTED where none is left. */
export async function goAnotherWay(push: BlobPush): Promise<void> {
  const { rangeRefusal, context } = push
  if (!rangeRefusal || !rangeRefusal.inPart || push.otherWays >= MOST_OTHER_WAYS) throw refusedForGood(push)
  const { uploads } = context.learned
  if (uploads.parts !== 'refused') {
    uploads.parts = uploads.parts === 'equal' || isEven(push, rangeRefusal.offset) ? 'refused' : 'equal'
  }
  push.otherWays += 1
  push.rangeRefusal = undefined
  const reason =
    uploads.parts === 'equal'
      ? `it refuses the part from ${rangeRefusal.offset} on: it gets parts of one size`
      : `it refuses the part from ${rangeRefusal.offset} on: it gets all in one request`
  await advance(push, { type: 'gone', reason })
}

/** Whether all that the session got was in parts of one size. */
function isEven({ grid }: BlobPush, offset: number): boolean {
  return grid !== undefined && grid.from === 0 && offset % grid.bytes === 0
}

function refusedForGood({ context, descriptor, rangeRefusal }: BlobPush): AppError {
  const { answer } = rangeRefusal ?? {}
  const { digest } = descriptor
  return new AppError(
    'REGISTRY_REJECTED',
    `${placeName(context)} refuses the bytes of ${digest} in whatever way they are sent${answer ? `: ${answer.message}` : ''}`,
    {
      op: 'push blob',
      hint: "It refuses them although they begin where it says that it stands. Look at the registry's log, or at a proxy before it, for what it wants of an upload.",
      upstream: { ...answer?.upstream, registry: context.transport.registry, repository: context.repository, digest },
      ...(answer ? { cause: answer } : {}),
    },
  )
}

import type { AppError } from '../../lib/errors.ts'
import { saidBy } from '../errors/errors.ts'
import { uploadLost } from './sessions/upload-requests.ts'
import { advance, type BlobPush, giveUp } from './push-state.ts'

/*
 * What a registry seems to be by its answers may be wrong, and what it is may not show. So what was refused of a way that
 * such a profile chose is not done again, and a session in parts that is refused as it is completed goes in other ways that
 * registries are known to want. Source: registries.md 5 (ECR), 18.
 */

/** Smaller than the most that ECR takes of a part, and no smaller than its least. */
const SAFE_PART_BYTES = 8 * 1024 * 1024

/** Whether the profile is a guess that does what another registry may refuse. Bounds alone harm nobody. */
export function isRiskyGuess({ context: { profile } }: Pick<BlobPush, 'context'>): boolean {
  const { guessed, first, parts, lastInPut, tellsStatus } = profile
  return guessed && (first === 'put' || parts === undefined || lastInPut || !tellsStatus)
}

/** The registry did not take what the profile wanted: from now on it is gone by what it does. */
export function doubtGuess(push: BlobPush): void {
  if (isRiskyGuess(push)) dropProfile(push)
}

/** The same where nothing else is left to do, whatever the profile was chosen by. */
export function dropProfile({ context }: Pick<BlobPush, 'context'>): void {
  context.learned.shown.refuted = true
  const { registry } = context.transport
  context.logger.info({ registry }, 'the registry is not what it seems to be: it is gone by what it does')
}

/**
 * The error to throw where a session in parts was refused as it was completed and there is another way, which is taken from then on:
 * the last part with the PUT, then smaller parts. Else undefined, and what was tried in vain is forgotten.
 */
export async function completedOtherwise(push: BlobPush, error: AppError): Promise<AppError | undefined> {
  const { uploads } = push.context.learned
  if (push.grid === undefined || error.upstream?.ociCode !== 'BLOB_UPLOAD_INVALID') return undefined
  const inPut = uploads.lastInPut === true || push.context.profile.lastInPut
  if (inPut && push.grid.bytes <= SAFE_PART_BYTES) {
    delete uploads.lastInPut
    return undefined
  }
  const how = inPut ? 'in smaller parts' : 'with its last part in the PUT'
  if (inPut) uploads.maxBodyBytes = SAFE_PART_BYTES
  else uploads.lastInPut = true
  const { session } = push
  if (session.at === 'open' || session.at === 'committing') await giveUp(push, session.location)
  push.otherWays += 1
  push.flowing = false
  const reason = `it answered ${saidBy(error)} when all parts were there: it goes ${how}`
  await advance(push, { type: 'gone', reason })
  return uploadLost(push.context, push.descriptor.digest, reason, error)
}

import type { UploadKey, UploadSessionStore } from '../content/checkpoint.ts'
import type { Descriptor } from '../content/descriptor.ts'
import type { MountCandidate, PushEvent } from '../content/endpoints.ts'
import type { AppError } from '../lib/errors.ts'
import { statBlob } from './blobs.ts'
import type { PushBody } from './push-body.ts'
import type { RepositoryContext } from './repository-context.ts'
import type { SessionPool } from './session-pool.ts'
import { type CallOptions, uploadLost } from './upload-requests.ts'
import { next, type UploadEvent, type UploadSession } from './upload-session.ts'

/** One blob on its way up. */
export interface BlobPush {
  readonly context: RepositoryContext
  readonly pool: SessionPool
  readonly descriptor: Descriptor
  /** What people call the blob. */
  readonly name: string
  readonly body: PushBody
  readonly call: CallOptions
  readonly key: UploadKey
  /** Where another process finds the session; undefined where that does not pay. */
  readonly sessions: UploadSessionStore | undefined
  readonly emit: (event: PushEvent) => void
  readonly mountFrom: readonly MountCandidate[]
  /** Nobody has asked whether it is there. */
  readonly mayExist: boolean
  session: UploadSession
  /** A 'started' was told. */
  begun: boolean
  /** The last request was accepted: the next one goes on with its bytes. */
  flowing: boolean
  /** Bytes that the registry has acknowledged with a success. */
  acknowledged: number
  /** It goes on from our own count, as the registry does not say where it stands. */
  ownCount: boolean
  /** When the session was opened, ms since the epoch; 0 before the first one. */
  startedAt: number
  /** Why the last commit got no usable answer. */
  commitFailure: AppError | undefined
  /** Where the registry last wanted a newer token in place of the bytes. */
  unauthorizedAt: number | undefined
  /** The registry has found the digest wrong once. */
  digestRefused: boolean
}

/** Moves the machine on and saves what another process would need. */
export async function advance(push: BlobPush, event: UploadEvent): Promise<void> {
  const before = push.session
  push.session = next(before, event, push.descriptor.size)
  if (event.type === 'opened') push.acknowledged = 0
  if (event.type === 'restored' || event.type === 'accepted') push.acknowledged = event.offset
  // What we can't use may still lie open there. Not so while it is committed: that may be going on.
  if (push.session.at === 'lost' && before.at === 'open') push.pool.giveUp(before.location)
  const { sessions } = push
  if (!sessions) return
  if (push.session.at === 'lost') return sessions.clear(push.key)
  const acknowledged = event.type === 'opened' || event.type === 'accepted' || event.type === 'stands'
  if (push.session.at !== 'open' || !acknowledged) return undefined
  return sessions.save(push.key, {
    location: push.session.location.href,
    offset: push.session.offset,
    size: push.descriptor.size,
    startedAt: push.startedAt,
  })
}

export function tellStart(push: BlobPush, offset: number): void {
  push.begun = true
  push.flowing = true
  push.emit({ type: 'started', offset })
}

/** A session that ended without a clear yes: the blob is there, or the upload starts again with the next try. */
export async function storedOrLost(push: BlobPush, reason: string): Promise<void> {
  push.flowing = false
  if (await statBlob(push.context, push.descriptor.digest, push.call)) return advance(push, { type: 'committed' })
  await advance(push, { type: 'gone', reason })
  throw uploadLost(push.context, push.descriptor.digest, reason)
}

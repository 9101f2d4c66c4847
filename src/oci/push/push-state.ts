import type { SessionNote, UploadKey, UploadSessionStore } from '../../content/checkpoint.ts'
import type { Descriptor } from '../../content/descriptor.ts'
import type { MountCandidate, PushEvent } from '../../content/endpoints.ts'
import type { AppError } from '../../lib/errors.ts'
import { statBlob } from '../pull/blobs.ts'
import type { PushBody } from './parts/push-body.ts'
import type { PartGrid } from './parts/upload-plan.ts'
import type { OpenedSession, RepositoryContext } from '../request/repository-context.ts'
import type { SessionPool } from './sessions/session-pool.ts'
import type { CallOptions } from '../request/transport.ts'
import { uploadLost } from './sessions/upload-requests.ts'
import { next, type OpenSession, type UploadEvent, type UploadSession } from './sessions/upload-session.ts'

/** Bytes that the registry answered with 416, for another reason than their number. */
export interface RangeRefusal {
  readonly offset: number
  /** In a row, at this offset. */
  readonly times: number
  readonly inPart: boolean
  readonly answer: AppError
}

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
  /** Of the session, where this process opened it. */
  note: SessionNote | undefined
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
  /** What broke the last request that the registry did not take; undefined once it has taken one. */
  brokenBy: AppError | undefined
  /** Why the last commit got no usable answer. */
  commitFailure: AppError | undefined
  /** Where the registry wanted a newer token in place of the bytes, with nothing else from it since. */
  unauthorizedAt: number | undefined
  /** The registry has found the digest wrong once. */
  digestRefused: boolean
  /** How often it was sent to another address since something was accepted. */
  moves: number
  /** The parts of the session, where it goes in parts. */
  grid: PartGrid | undefined
  /** How many of those broke off since a whole one was taken. */
  cutParts: number
  /** The last request was refused: what the registry has of it says nothing about requests that break off. */
  refused: boolean
  /** The newest, and what was made of those before: how often the blob was begun in another way. */
  rangeRefusal: RangeRefusal | undefined
  otherWays: number
}

/** Moves the machine on and saves what another process would need. */
export async function advance(push: BlobPush, event: UploadEvent): Promise<void> {
  const before = push.session
  push.session = next(before, event, push.descriptor.size)
  if (event.type === 'opened') {
    push.acknowledged = 0
    push.grid = undefined
    push.cutParts = 0
  }
  if (event.type === 'restored' || event.type === 'accepted') push.acknowledged = event.offset
  if (event.type === 'accepted') {
    push.unauthorizedAt = undefined
    push.brokenBy = undefined
    push.moves = 0
  }
  // What we can't use may still lie open there. Not so while it is committed: that may be going on.
  if (push.session.at === 'lost' && before.at === 'open') await giveUp(push, before.location)
  if (push.session.at === 'lost' || push.session.at === 'done') forgetNote(push)
  if (!push.sessions) return follow(push)
  if (push.session.at === 'lost') return push.sessions.clear(push.key)
  const acknowledged = event.type === 'opened' || event.type === 'accepted' || event.type === 'stands'
  if (push.session.at === 'open' && acknowledged) return save(push, push.sessions, push.session)
}

function save(push: BlobPush, sessions: UploadSessionStore, { location, offset }: OpenSession): Promise<void> {
  const { descriptor, startedAt, grid } = push
  const upload = { location: location.href, offset, size: descriptor.size, startedAt, ...(grid ? { parts: grid } : {}) }
  return sessions.save(push.key, upload, push.note)
}

/** The session goes in these parts from now on. Saved before the first of them goes out: it may be all that arrives. */
export async function cutInto(push: BlobPush, session: OpenSession, grid: PartGrid | undefined): Promise<void> {
  if (push.grid === grid) return
  push.grid = grid
  push.cutParts = 0
  if (grid && push.sessions) await save(push, push.sessions, session)
}

/** A session that is not saved is known by its note alone. */
function follow({ session, note }: BlobPush): void {
  if (session.at === 'open') note?.moved(session.location.href)
}

export function openedAt(push: BlobPush, { location, note }: OpenedSession): Promise<void> {
  push.note = note
  return advance(push, { type: 'opened', location })
}

/** Tells the registry that nobody goes on with the session, which stays known until it has been told. */
export function giveUp(push: BlobPush, location: URL): Promise<void> {
  const { note, pool, sessions, key } = push
  push.note = undefined
  return pool.giveUp({ location, ...(note ? { note } : {}) }, sessions && { sessions, key })
}

function forgetNote(push: BlobPush): void {
  push.note?.closed()
  push.note = undefined
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

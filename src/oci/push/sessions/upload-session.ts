import { AppError } from '../../../lib/errors.ts'

/**
 * One upload session as far as we know it.
 *
 *              opened / restored            complete                    committed
 *     idle ──────────────────────▶ open ────────────────▶ committing ────────────────▶ done
 *      ▲                           │  ▲│ accepted, cut,    │  │ ▲│ cut                   ▲
 *      │                           │  └┘ stands            │  │ └┘                       │
 *      │                           │  ◀────── stands ──────┘  │                          │
 *      │                           │ gone                     │ gone                     │
 *      │         restart           ▼                          ▼                          │
 *      └───────────────────────── lost ◀─────────────────────┘                           │
 *                                  └───────────────── committed ─────────────────────────┘
 *
 * `offset` is what the registry acknowledged, `sent` how far it may have got: they differ while it is not known what
 * became of a cut request, and then nothing is sent before the registry was asked (distribution 2.8 appends whatever
 * comes). Source: OCI distribution-spec v1.1.1 "Pushing a blob in chunks"; what survives a cut is each registry's own.
 */
export type UploadSession =
  | { readonly at: 'idle' }
  | { readonly at: 'open'; readonly location: URL; readonly offset: number; readonly sent: number }
  | { readonly at: 'committing'; readonly location: URL; readonly inDoubt: boolean }
  | { readonly at: 'done' }
  | { readonly at: 'lost'; readonly reason: string }

export type OpenSession = Extract<UploadSession, { at: 'open' }>

export type UploadEvent =
  /** The registry opened a session. */
  | { readonly type: 'opened'; readonly location: URL }
  /** A session of an earlier process: what that one had sent is unknown and counts as everything. */
  | { readonly type: 'restored'; readonly location: URL; readonly offset: number }
  /** A request was acknowledged up to `offset`. */
  | { readonly type: 'accepted'; readonly location: URL; readonly offset: number }
  /** A request got no usable answer after bytes up to `sent` went out. */
  | { readonly type: 'cut'; readonly sent: number }
  /** The registry says how many bytes it holds; undefined when its answer may mean none or one ("0-0"). */
  | { readonly type: 'stands'; readonly location: URL | undefined; readonly offset: number | undefined }
  /** All bytes are acknowledged. */
  | { readonly type: 'complete' }
  /** The registry has the blob. */
  | { readonly type: 'committed' }
  | { readonly type: 'gone'; readonly reason: string }
  | { readonly type: 'restart' }

/** The session after the event, for a blob of `size` bytes. Pure. */
export function next(session: UploadSession, event: UploadEvent, size: number): UploadSession {
  switch (session.at) {
    case 'idle':
      if (event.type === 'opened') return { at: 'open', location: event.location, offset: 0, sent: 0 }
      if (event.type === 'restored') return restored(event, size)
      if (event.type === 'committed') return { at: 'done' }
      break
    case 'open':
      return nextOpen(session, event, size)
    case 'committing':
      if (event.type === 'committed') return { at: 'done' }
      if (event.type === 'gone') return { at: 'lost', reason: event.reason }
      if (event.type === 'cut') return { ...session, inDoubt: true }
      if (event.type === 'stands') return stands(session.location, size, event, size)
      break
    case 'lost':
      if (event.type === 'restart') return { at: 'idle' }
      if (event.type === 'committed') return { at: 'done' }
      break
    case 'done':
      break
  }
  throw illegal(session, event)
}

/** Where all was acknowledged no byte is left to send: its commit may have been on its way, or be still. */
function restored({ location, offset }: Extract<UploadEvent, { type: 'restored' }>, size: number): UploadSession {
  if (offset >= size) return { at: 'committing', location, inDoubt: true }
  return { at: 'open', location, offset, sent: size }
}

function nextOpen(session: OpenSession, event: UploadEvent, size: number): UploadSession {
  switch (event.type) {
    case 'accepted':
      return { at: 'open', location: event.location, offset: event.offset, sent: event.offset }
    case 'cut':
      return { ...session, sent: Math.max(session.sent, event.sent) }
    case 'stands':
      return stands(session.location, session.sent, event, size)
    case 'complete':
      return { at: 'committing', location: session.location, inDoubt: false }
    case 'committed':
      return { at: 'done' }
    case 'gone':
      return { at: 'lost', reason: event.reason }
    case 'opened':
    case 'restored':
    case 'restart':
      break
  }
  throw illegal(session, event)
}

function illegal(session: UploadSession, event: UploadEvent): AppError {
  return new AppError('INTERNAL', `an upload session that is ${session.at} cannot take the event ${event.type}`)
}

/** The registry's number wins over ours, unless it can't be true of what we sent. */
function stands(
  location: URL,
  sent: number,
  event: Extract<UploadEvent, { type: 'stands' }>,
  size: number,
): UploadSession {
  const newest = event.location ?? location
  if (event.offset === undefined) return { at: 'lost', reason: 'the registry holds at most one byte of it' }
  if (event.offset > sent) {
    return { at: 'lost', reason: `the registry says ${event.offset} bytes, and only ${sent} were sent` }
  }
  if (event.offset === size) return { at: 'committing', location: newest, inDoubt: false }
  return { at: 'open', location: newest, offset: event.offset, sent: event.offset }
}

import type { Digest } from './digest.ts'

/** Where an upload session was opened. */
export interface UploadPlace {
  readonly registry: string
  readonly repository: string
}

/** What an upload session is kept under: one per blob of a repository. */
export interface UploadKey extends UploadPlace {
  readonly digest: Digest
}

/** What another process needs to ask the registry where a cut upload stands. */
export interface SavedUpload {
  /** The newest Location, opaque. It may let its holder write to the session: never logged or shown. */
  readonly location: string
  /** Bytes that the registry has acknowledged; it may hold more. */
  readonly offset: number
  /** Of the whole blob. */
  readonly size: number
  /** When the session was opened, ms since the epoch. */
  readonly startedAt: number
  /** Its parts, where it goes in parts: the first begins at `from`, and each but the last has so many bytes. */
  readonly parts?: { readonly from: number; readonly bytes: number }
}

/** A session that stands open and that no saved upload covers: should its run come to nothing, others give it up. */
export interface SessionNote {
  /** Its newest Location. */
  moved(location: string): void
  /** It stands open there, the registry could not be told, and no saved upload covers it any more. */
  left(location: string): void
  /** It is finished, or the registry was told that nobody goes on with it. */
  closed(): void
}

/** Keeps upload sessions beyond the life of a process. Written after each step that the registry acknowledged. */
export interface UploadSessionStore {
  load(key: UploadKey): Promise<SavedUpload | undefined>
  /** `note`: of the same session, which is covered from then on. */
  save(key: UploadKey, upload: SavedUpload, note?: SessionNote): Promise<void>
  /**
   * Forgets what was saved or loaded through here; what somebody else has saved since stays. `note`: of the same session,
   * which is given up and may stand open still: it is written in the same step.
   */
  clear(key: UploadKey, note?: SessionNote): Promise<void>
  /** Notes a session that was opened. Nobody waits for that, and one that is soon closed again is never written. */
  opened(place: UploadPlace, location: string): SessionNote
  /** Writes the notes of what stands open now. Never throws. */
  settle(): Promise<void>
}

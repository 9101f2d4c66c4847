import type { Digest } from './digest.ts'

/** What an upload session is kept under: one per blob of a repository. */
export interface UploadKey {
  readonly registry: string
  readonly repository: string
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
}

/** Keeps upload sessions beyond the life of a process. Written after each step that the registry acknowledged. */
export interface UploadSessionStore {
  load(key: UploadKey): Promise<SavedUpload | undefined>
  save(key: UploadKey, upload: SavedUpload): Promise<void>
  clear(key: UploadKey): Promise<void>
}

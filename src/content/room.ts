/** Room on a disk that a file keeps while it is written, until disposed. */
export interface Reservation extends AsyncDisposable {
  /** What it keeps of the store's own disk; 0 on another. */
  readonly bytesBesideStore: number
  /** So many bytes of it were written: asked every 8 MiB. Throws STORE_FULL when the disk runs low. */
  reached(bytes: number): Promise<void>
}

/** The account of a disk that all processes share: who is promised room there has it. */
export interface Room {
  /**
   * Keeps room for a file until it is written. `bytes`: its size; where nobody knows it, room is kept for 8 MiB at a time.
   * `what` it is in errors. The size of an upload is only its sender's word: it has to fit, but twice what came, and
   * 16 MiB at first, is all that is kept. Of a file that is there in part `written` says how much. Throws STORE_FULL with the figures:
   * for an archive one that may wait.
   */
  reserve(file: {
    path: string
    bytes?: number | undefined
    written?: number
    what: 'upload' | 'archive'
  }): Promise<Reservation>
  /**
   * Throws as `reserve` would now for an archive in a folder that is there; keeps nothing. What it would keep of the store's
   * own disk.
   */
  look(file: { folder: string; bytes: number }): Promise<{ bytesBesideStore: number }>
}

/** Bytes between two looks at a disk that is written to. */
export const CHECK_DISK_BYTES = 8 * 1024 * 1024

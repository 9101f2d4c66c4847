import type { ByteStream } from './endpoints.ts'

/**
 * What a job reads from and writes to beside registries, as things that were opened, not as paths: today they lie on this
 * machine's disks, and a bucket can stand behind the same.
 */
export interface StreamRange {
  /** Of what is asked for. Default: all of it. */
  start?: number
  end?: number
  signal: AbortSignal
  /** Told after each read. */
  onRead?: (bytes: number) => void
}

/** Bytes that can be read anywhere, by many at once. */
export interface OpenedFile extends AsyncDisposable {
  /** What errors call it. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** The same for the same bytes in the same state, also in other processes; what was changed has another. */
  readonly identity: string
  /** When it was last written to, where that means something: of a file that somebody put here. */
  readonly modifiedAt?: Date
  /** Fills `target` with the bytes from `offset` on. Throws PACKAGE_CHANGED where there are none, PACKAGE_UNREADABLE. */
  read(target: Buffer, offset: number): Promise<Buffer>
  /** Throws as `read` does. */
  stream(range: StreamRange): ByteStream
  /** Throws PACKAGE_CHANGED when it is no longer what was opened. */
  checkUnchanged(): Promise<void>
}

export interface FolderEntry {
  readonly name: string
  readonly kind: 'file' | 'folder' | 'link' | 'other'
  /** Bytes; of a file. */
  readonly size: number
  /** As an OpenedFile's. */
  readonly identity: string
  /** Whether the same file has another name elsewhere. */
  readonly shared: boolean
}

/** A folder of files; paths in it have slashes. */
export interface OpenedFolder extends AsyncDisposable {
  readonly name: string
  /**
   * The names in one folder of it, `''` being itself. Follows no link. Throws PACKAGE_UNREADABLE, PACKAGE_NOT_FOUND,
   * PACKAGE_CHANGED for a folder that was swapped for something else.
   */
  names(path: string): Promise<readonly string[]>
  /** What has these names in a folder of it, in their order. Throws as `names`. */
  entries(path: string, names: readonly string[]): Promise<FolderEntry[]>
  /** The file that the entry was of and no other: throws PACKAGE_CHANGED for one of another identity. Follows no link. */
  open(path: string, identity: string): Promise<OpenedFile>
}

/** What somebody said of a file as a whole, to be checked before anything moves. */
export interface WholeFile {
  /** Hexadecimal. */
  readonly sha256: string
  /** Who says so. */
  readonly saidBy: string
  /** What is plainly wrong with the pieces it is joined of, once its hash was found wrong; undefined: nothing can be seen. */
  suspect(): Promise<string | undefined>
  /** The pieces that these bytes lie in. */
  piecesOf(start: number, end: number): readonly string[]
}

/** A source under the name that its user gave it, whose extension tells what it is. */
export type OpenedSource = { readonly fileName: string } & (
  | {
      readonly file: OpenedFile
      readonly whole?: WholeFile
      /** Each reading from the start costs as much as the first. */
      readonly sequential?: boolean
    }
  | { readonly folder: OpenedFolder }
)

/** Where whole files are written. Keeps room for one that was prepared until it is disposed. */
export interface OpenedTarget extends AsyncDisposable {
  /**
   * Everything that can refuse the file before a byte moves, once. Throws PACKAGE_EXISTS, PACKAGE_UNREADABLE, STORE_FULL with
   * the numbers, transient where room may come.
   */
  prepare(file: { name: string; size: number; overwrite: boolean }): Promise<void>
  /** Throws as `prepare` would now; makes nothing and keeps no room. What the file would take of the store's own disk. */
  look(file: { name: string; size: number; overwrite: boolean }): Promise<{ bytesBesideStore: number }>
  /** What the file that was prepared takes of the store's own disk. */
  readonly bytesBesideStore: number
  /** Writes it: there whole or not at all. Without `overwrite` one that came meanwhile stays. Returns where it lies. Throws as `prepare`. */
  write(
    file: { name: string; overwrite: boolean },
    open: (options: { signal: AbortSignal }) => ByteStream,
    signal: AbortSignal,
  ): Promise<string>
}

/** A folder that several files are written to, at slash paths below it. Keeps room for those that were prepared until it is disposed. */
export interface OpenedFolderTarget extends AsyncDisposable {
  /** As OpenedTarget's. */
  readonly bytesBesideStore: number
  /** Everything that can refuse the files before a byte moves, once. Throws as OpenedTarget.prepare, which has the first that is there. */
  prepare(files: readonly FolderFile[], options: { overwrite: boolean }): Promise<void>
  /** Throws as `prepare` would now; makes nothing and keeps no room. */
  look(files: readonly FolderFile[], options: { overwrite: boolean }): Promise<{ bytesBesideStore: number }>
  /**
   * Writes them in their order, with the folders that they lie in; of these no link leads out of it. Where one fails, those that
   * were written go again, but for what they replaced. Returns where the folder lies. Throws as `prepare`.
   */
  write(
    files: ReadonlyArray<FolderFile & { open: (options: { signal: AbortSignal }) => ByteStream }>,
    options: { overwrite: boolean; signal: AbortSignal },
  ): Promise<string>
}

export interface FolderFile {
  /** With slashes; the caller has made sure that it leads nowhere else. */
  readonly path: string
  /** Bytes. */
  readonly size: number
}

/** Closes whichever it is. */
export async function closeSource(source: OpenedSource): Promise<void> {
  await ('file' in source ? source.file : source.folder)[Symbol.asyncDispose]()
}

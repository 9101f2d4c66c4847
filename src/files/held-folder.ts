import { closeSync, constants, openSync, readlinkSync } from 'node:fs'
import { type FileHandle, open, readlink, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { changed } from './file-bytes.ts'

/**
 * For reading. A named pipe would otherwise hold the open until somebody writes to it, and a terminal become the process's
 * own.
 */
export const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY
export const FOLDER = READ | constants.O_DIRECTORY

/** How a system tells what an open file is called by now: paths may be swapped between two calls, what is open may not. */
export interface HandlePaths {
  /**
   * Where what `handle` has open lies: absolute, without links. `openedAt`: the path it was opened by. Throws PACKAGE_CHANGED
   * where that leads elsewhere by now, and what the file system throws.
   */
  locate(handle: FileHandle, openedAt: string): Promise<string>
  /** A path to `inner` of the open folder that lay at `realPath`; `''` is the folder itself. */
  within(handle: FileHandle, realPath: string, inner: string): string
}

const DESCRIPTORS = '/proc/self/fd'

/** Linux: the kernel knows where an open file lies, and a path through its descriptor leads into the folder that was opened. */
export const byDescriptor: HandlePaths = {
  locate: (handle) => readlink(join(DESCRIPTORS, `${handle.fd}`)),
  within: (handle, _, inner) => `${DESCRIPTORS}/${handle.fd}/${inner}`,
}

/** Elsewhere: the path is followed once more, and what it leads to compared. Who swaps it back in between is not seen. */
export const byRealPath: HandlePaths = {
  async locate(handle, openedAt) {
    const real = await realpath(openedAt)
    const [there, opened] = await Promise.all([stat(real, { bigint: true }), handle.stat({ bigint: true })])
    if (there.dev !== opened.dev || there.ino !== opened.ino) throw changed(openedAt)
    return real
  },
  within: (_, realPath, inner) => join(realPath, inner),
}

/** Chosen once: a single answer of /proc that fails must not lead to the weaker way. */
export const systemPaths: HandlePaths = descriptorsHavePaths() ? byDescriptor : byRealPath

function descriptorsHavePaths(): boolean {
  const fd = openSync('/', constants.O_RDONLY)
  try {
    return readlinkSync(join(DESCRIPTORS, `${fd}`)) === '/'
  } catch {
    return false
  } finally {
    closeSync(fd)
  }
}

/** A folder that is held open: what lies in it is reached through the handle, wherever its path leads by now. */
export interface HeldFolder extends AsyncDisposable {
  /** A path to what lies in it, for calls while it is held; `''` is the folder itself. Links on the way are followed. */
  at(inner: string): string
  /** Where it lay when it was opened: absolute, without links. */
  readonly openedPath: string
  /** Where it lies now. Throws as HandlePaths.locate. */
  realPath(): Promise<string>
  /** Where a file lies now that was opened at `at(inner)`. Throws as HandlePaths.locate. */
  pathOf(file: FileHandle, inner: string): Promise<string>
  /**
   * Opens what lies at `inner`, and no link on the way there. Throws PACKAGE_CHANGED where one was swapped in, and what the
   * file system throws.
   */
  open(inner: string, flags: number): Promise<FileHandle>
  /** The folder at `inner`. Throws as `open`. */
  folder(inner: string): Promise<HeldFolder>
  /** Makes a rename or a new entry in it survive a power cut. */
  sync(): Promise<void>
}

/** Takes the handle over, and closes it when this throws. `openedAt`: its path. Throws as HandlePaths.locate. */
export async function holdFolder(handle: FileHandle, openedAt: string, paths: HandlePaths): Promise<HeldFolder> {
  const openedPath = await paths.locate(handle, openedAt).catch(async (error: unknown) => {
    await handle.close()
    throw error
  })
  const at = (inner: string) => paths.within(handle, openedPath, inner)
  const held: HeldFolder = {
    at,
    openedPath,
    realPath: () => paths.locate(handle, openedPath),
    pathOf: (file, inner) => paths.locate(file, at(inner)),
    async open(inner, flags) {
      const file = await open(at(inner), flags | constants.O_NOFOLLOW).catch((error: NodeJS.ErrnoException) => {
        throw error.code === 'ELOOP' || error.code === 'ENOTDIR' ? changed(inner) : error
      })
      try {
        if ((await held.pathOf(file, inner)) !== join(await held.realPath(), inner)) throw changed(inner)
        return file
      } catch (error) {
        await file.close()
        throw error
      }
    },
    folder: async (inner) => holdFolder(await held.open(inner, FOLDER), at(inner), paths),
    sync: () => handle.sync(),
    [Symbol.asyncDispose]: () => handle.close(),
  }
  return held
}

import { randomBytes, randomUUID } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createFileOnce } from '../lib/atomic-file.ts'
import { AppError } from '../lib/errors.ts'
import { makeFolders } from '../lib/make-folders.ts'
import { KEY_BYTES, parseSecretKeys } from './secret-keys.ts'

/** What all processes of one layerd share beside Redis. */
export interface DataDirectory {
  /** Absolute. */
  readonly path: string
  /** Of this layerd; Redis holds the same one. */
  readonly id: string
  /** Of 32 bytes each, for the credentials that rest in Redis: the first one seals, all of them open. */
  readonly secretKeys: readonly Buffer[]
  /** Packages that `file:` may name by default. */
  readonly packages: string
  readonly uploads: string
  /** The content store's. */
  readonly store: string
  /** What deploys have on the disk. */
  readonly deploys: string
}

/**
 * Opens the directory and makes what is missing: itself and its folders (0700), id and secret key (0600). Any number of
 * processes may do so at once. Throws CONFIG_INVALID, naming the setting, when it can't be made or read.
 */
export async function openDataDirectory(options: { path: string; secretKeyFile: string }): Promise<DataDirectory> {
  const { path, secretKeyFile } = options
  const packages = join(path, 'packages')
  const uploads = join(path, 'uploads')
  const store = storeOf(path)
  const deploys = join(path, 'deploys')
  const id = await named('LAYERD_DATA_DIR', path, async () => {
    for (const folder of [path, packages, uploads, store]) await makeFolders(folder, 0o700)
    return existingOr(join(path, 'id'), () => `${randomUUID()}\n`)
  })
  const encoded = await named('LAYERD_SECRET_KEY_FILE', secretKeyFile, () =>
    existingOr(secretKeyFile, () => `${randomBytes(KEY_BYTES).toString('base64')}\n`),
  )
  return { path, id: id.trim(), secretKeys: parseSecretKeys(encoded, secretKeyFile), packages, uploads, store, deploys }
}

/** The content store's folder in a directory that a daemon made before. Throws CONFIG_INVALID when it is not there. */
export async function existingStore(path: string): Promise<string> {
  const store = storeOf(path)
  const { code } = await stat(store).then(
    () => ({ code: undefined }),
    (error: NodeJS.ErrnoException) => error,
  )
  if (code === undefined) return store
  throw new AppError('CONFIG_INVALID', `LAYERD_DATA_DIR: ${path} holds no store (${code})`, {
    hint: 'Set it to the directory that the daemon works on; each start of the daemon logs its path.',
  })
}

function storeOf(path: string): string {
  return join(path, 'store')
}

/** Reads first: the directory, or a mounted secret, may be read-only for this process. */
async function existingOr(path: string, content: () => string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return createFileOnce(path, content(), 0o600)
  }
}

async function named<T>(setting: string, path: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error)
    throw new AppError('CONFIG_INVALID', `${setting}: ${path} cannot be used (${why})`, { cause: error })
  }
}

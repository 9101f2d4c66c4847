import { lstat, lutimes, readlink, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { formatOwner, isAlive, newOwner, type Owner, parseOwner, RENEW_MS } from '../../lib/processes/owner.ts'

/**
 * A name in a folder that belongs to a running process: a symbolic link whose target is the owner's text. Making one is
 * atomic with its content, only one of several can (EEXIST), and it takes no room, so that a store whose disk is full can
 * still be locked, and emptied.
 */
export type Ownership = { state: 'absent' } | { state: 'held'; owner: Owner } | { state: 'abandoned'; text: string }

export async function ownershipOf(path: string): Promise<Ownership> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readlink(path), lstat(path)])
    const owner = parseOwner(text)
    return owner && isAlive(owner, mtimeMs) ? { state: 'held', owner } : { state: 'abandoned', text }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return { state: 'absent' }
    // Not a link: nothing of ours.
    if (code === 'EINVAL') return { state: 'abandoned', text: '' }
    throw error
  }
}

/** Of names that are moved aside to be taken away. */
export const ABANDONED_PREFIX = '.abandoned-'

/** False when the name is taken. */
export async function takeName(path: string): Promise<boolean> {
  try {
    await symlink(formatOwner(newOwner()), path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/**
 * Takes an abandoned name away, so that somebody can take it anew. Moving it aside is what only one of several can do;
 * should a new owner have come in between, it is theirs that was moved, and it goes back.
 */
export async function removeAbandoned(path: string, text: string): Promise<void> {
  const aside = join(dirname(path), `${ABANDONED_PREFIX}${newOwner().token}`)
  try {
    await rename(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  const moved = await readlink(aside).catch(() => '')
  await (moved === text ? rm(aside, { force: true, recursive: true }) : rename(aside, path))
}

/** Renews the name's time until disposed, for readers on other hosts of a shared volume. */
export function renewing(path: string): Disposable {
  const timer = setInterval(() => {
    const now = new Date()
    lutimes(path, now, now).catch(() => undefined)
  }, RENEW_MS)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

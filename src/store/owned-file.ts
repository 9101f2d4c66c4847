import { open, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isAlive, newOwner, type Owner, parseOwner, RENEW_MS } from './owner.ts'

/** How long a file may be without a whole owner before its writer counts as dead: it writes within microseconds. */
const HALF_WRITTEN_MS = 5000

/** Renews the file's time until disposed, for readers on other hosts of a shared volume. */
export function renewing(path: string): Disposable {
  const timer = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => undefined)
  }, RENEW_MS)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** What is known of an owned file: absent, held by somebody who runs, or left behind by somebody who died. */
export type Ownership = { state: 'absent' } | { state: 'held' } | { state: 'abandoned'; text: string }

export async function ownershipOf(path: string): Promise<Ownership> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)])
    const owner = parseOwner(text)
    const held = owner ? isAlive(owner, mtimeMs) : Date.now() - mtimeMs < HALF_WRITTEN_MS
    return held ? { state: 'held' } : { state: 'abandoned', text }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { state: 'absent' }
    throw error
  }
}

/** Creates the file with its owner; undefined when it exists. */
export async function createOwned(path: string, extra: object = {}): Promise<Owner | undefined> {
  const owner = newOwner()
  try {
    const handle = await open(path, 'wx')
    try {
      await handle.writeFile(JSON.stringify({ ...owner, ...extra }))
    } finally {
      await handle.close()
    }
    return owner
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined
    throw error
  }
}

/**
 * Takes an abandoned file away, so that somebody can create it anew. Moving it aside is what only one of several can
 * do; should a new owner's file have come in between, it is what was moved, and it goes back.
 */
export async function removeAbandoned(path: string, text: string): Promise<void> {
  const aside = join(dirname(path), `.abandoned-${newOwner().token}`)
  try {
    await rename(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  const moved = await readFile(aside, 'utf8')
  await (moved === text ? rm(aside, { force: true }) : rename(aside, path))
}

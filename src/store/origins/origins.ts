import { randomBytes } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'

/** Kept of one blob, the newest. */
const KEPT = 16
const END = '\n'

/** `registry/repository`: no registry has a slash. Of an unknown repository it ends there. */
export function originName({ registry, repository }: { registry: string; repository: string }): string {
  return `${registry}/${repository}`
}

/** Where a blob's bytes once came from, by name, the newest last. Empty where nothing is known. */
export async function readOrigins(path: string): Promise<string[]> {
  try {
    // A name without its end may be the beginning of another one.
    return (await readFile(path, 'utf8')).split(END).slice(0, -1)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/**
 * Remembers where a blob's bytes came from; the oldest of more than 16 go. A reader sees the old names or the new. What a crash
 * of the machine or another writer takes away costs a transfer, so nothing is synced and nobody waits.
 */
export async function addOrigins(path: string, names: readonly string[]): Promise<void> {
  const known = await readOrigins(path)
  const all = [...new Set([...known, ...names])]
  if (all.length === known.length) return
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await writeFile(
      temporary,
      all
        .slice(-KEPT)
        .map((name) => `${name}${END}`)
        .join(''),
    )
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

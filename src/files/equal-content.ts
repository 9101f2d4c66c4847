import { link, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/**
 * Lets the file at `path` be another name of one of `others`, which hold the same bytes, so that the disk holds them once. Each name
 * goes by itself. Where links can't be made (another file system, one that went meanwhile) the file stays as it is.
 */
export async function shareContent(path: string, others: readonly string[]): Promise<void> {
  const linked = join(dirname(path), '.same')
  for (const other of others) {
    try {
      await link(other, linked)
      await rename(linked, path)
      return
    } catch {
      await rm(linked, { force: true })
    }
  }
}

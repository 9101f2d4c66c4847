import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/**
 * Makes a folder and those above it; `mode` is for each that is made. mkdir's own `recursive` does not end, at a whole
 * processor's cost, where a file system answers ENOENT below a folder that is there, as /proc does. Errors as mkdir's.
 */
export async function makeFolders(path: string, mode?: number): Promise<void> {
  const whole = resolve(path)
  const make = () => mkdir(whole, { mode })
  try {
    await make()
  } catch (error) {
    if (await isFolder(whole)) return
    const parent = dirname(whole)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === whole) throw error
    await makeFolders(parent, mode)
    // Another process may have made it meanwhile.
    await make().catch(async (again: unknown) => {
      if (!(await isFolder(whole))) throw again
    })
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolders } from '../lib/make-folders.ts'
import { formatOwner, isAlive, newOwner, parseOwner } from '../lib/processes/owner.ts'

/** What deploys have on the disk: a folder for each that is under way, locks, and what programs wrote. */
export interface DeployFolders {
  /** Empty, and of this user alone; what an earlier run of the job left in its place is gone. Goes with it. */
  begin(jobId: string): Promise<AsyncDisposable & { readonly path: string }>
  /** Of what is deployed to by one at a time. */
  lock(name: string): string
  /** Of what the job's program wrote. */
  output(jobId: string): string
  /** Takes away the folders of processes that died before they had a program to leave them to. */
  sweep(): Promise<void>
}

const OWNER = 'owner'

/** `folder`: of the data directory. */
export async function openDeployFolders(folder: string): Promise<DeployFolders> {
  const [work, locks, outputs] = ['work', 'locks', 'outputs'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  for (const each of [work, locks, outputs]) await makeFolders(each, 0o700)
  return {
    async begin(jobId) {
      const path = join(work, jobId)
      await rm(path, { recursive: true, force: true })
      await mkdir(path, { mode: 0o700 })
      await writeFile(join(path, OWNER), formatOwner(newOwner()))
      for (const name of ['tmp', 'cache', 'home']) await mkdir(join(path, name), { mode: 0o700 })
      return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
    },
    lock: (name) => join(locks, name),
    output: (jobId) => join(outputs, `${jobId}.log`),
    async sweep() {
      for (const name of await readdir(work)) {
        const path = join(work, name)
        if (!(await isOwned(join(path, OWNER)))) await rm(path, { recursive: true, force: true })
      }
    },
  }
}

async function isOwned(path: string): Promise<boolean> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)])
    const owner = parseOwner(text)
    return owner !== undefined && isAlive(owner, mtimeMs)
  } catch {
    return false
  }
}

import { once } from 'node:events'
import { linkSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { type Cleanup, defer } from './cleanup.ts'

const [STOP, SWAPPING] = [0, 1]

interface Swap {
  /** What is there at one moment, a symbolic link in its place at the next. */
  path: string
  /** Where the link leads. */
  target: string
  isFolder?: boolean
}

/** Swaps a file or a folder for a link and back, as fast as a thread can, until the test ends. Returns when it does. */
export async function keepSwapping(t: Cleanup, swap: Swap): Promise<void> {
  const flags = new Int32Array(new SharedArrayBuffer(8))
  const worker = new Worker(new URL(import.meta.url), { workerData: { swap, flags } })
  const ended = once(worker, 'exit')
  defer(t, async () => {
    Atomics.store(flags, STOP, 1)
    await ended
  })
  await Promise.race([Atomics.waitAsync(flags, SWAPPING, 0).value, ended])
}

/** There is something at `path` at every moment. */
function swapFile({ path, target }: Swap): void {
  const next = `${path}.next`
  symlinkSync(target, next)
  renameSync(next, path)
  linkSync(`${path}.real`, next)
  renameSync(next, path)
}

/** A folder is not replaced in one step: there is nothing at `path` for a moment, and who finds that may make it anew. */
function swapFolder({ path }: Swap): void {
  replace(path, `${path}.real`)
  replace(`${path}.link`, path)
  replace(path, `${path}.link`)
  replace(`${path}.real`, path)
}

function replace(from: string, to: string): void {
  for (;;) {
    try {
      renameSync(from, to)
      return
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException
      if (!['EISDIR', 'ENOTDIR', 'EEXIST', 'ENOTEMPTY'].includes(code)) throw error
      removeOnce(to)
    }
  }
}

/** Somebody may still be writing into it. */
function removeOnce(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error
  }
}

function run({ swap, flags }: { swap: Swap; flags: Int32Array }): void {
  if (swap.isFolder) symlinkSync(swap.target, `${swap.path}.link`)
  else linkSync(swap.path, `${swap.path}.real`)
  while (Atomics.load(flags, STOP) === 0) {
    if (swap.isFolder) swapFolder(swap)
    else swapFile(swap)
    if (Atomics.exchange(flags, SWAPPING, 1) === 0) Atomics.notify(flags, SWAPPING)
  }
}

if (!isMainThread) run(workerData as Parameters<typeof run>[0])

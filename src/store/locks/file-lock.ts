import { rm } from 'node:fs/promises'
import { throwIfAborted } from '../../lib/abort.ts'
import { systemClock } from '../../lib/clock.ts'
import type { LockOptions } from './locks.ts'
import { ownershipOf, removeAbandoned, renewing, takeName } from './owned-file.ts'

const FIRST_POLL_MS = 5
const LONGEST_POLL_MS = 200

/**
 * A lock between all processes that share the folder: a name that only one can take, and that tells its owner. One that died,
 * in whatever way, is found out and its lock taken over. Node has no flock, and a lock of the kernel's would not reach
 * across the hosts of a shared volume. Dispose it to let go.
 */
export async function lockFile(path: string, options: LockOptions = {}): Promise<AsyncDisposable> {
  for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(pollMs * 2, LONGEST_POLL_MS)) {
    if (options.signal) throwIfAborted(options.signal)
    const lock = await tryLockFile(path)
    if (lock) return lock
    await options.onWait?.()
    await systemClock.sleep(pollMs, options.signal)
  }
}

/** The lock when it is free or its owner is gone, else undefined. */
export async function tryLockFile(path: string): Promise<AsyncDisposable | undefined> {
  if (await takeName(path)) return held(path)
  const ownership = await ownershipOf(path)
  if (ownership.state === 'held') return undefined
  if (ownership.state === 'abandoned') await removeAbandoned(path, ownership.text)
  return (await takeName(path)) ? held(path) : undefined
}

function held(path: string): AsyncDisposable {
  const renewal = renewing(path)
  return {
    async [Symbol.asyncDispose]() {
      renewal[Symbol.dispose]()
      await rm(path, { force: true })
    },
  }
}

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../lib/errors.ts'

/** Shown by a shell that found the lock taken; sysexits' EX_TEMPFAIL. */
export const LOCK_TAKEN = 75
/** Shown by a shell for a program that is not on PATH. */
export const PROGRAM_MISSING = 127

export interface DirectoryLock extends AsyncDisposable {
  /** Frees it. The system frees it too when this process ends, in whatever way. */
  release(): Promise<void>
}

/**
 * Node has no flock(2), so a child holds the lock: on an open file of its own, for as long as its standard input, a pipe
 * from this process, stays open. `$1` the lock file, `$2` who asks.
 */
const HOLD = 'exec 9>>"$1"; flock -n 9 || exit $?; echo "$2" >"$1"; echo held; exec cat >/dev/null'

/**
 * Makes this process the only all-in-one daemon of a data directory. Throws CONFIG_INVALID when another one is, naming
 * its process id.
 */
export async function lockDataDirectory(path: string): Promise<DirectoryLock> {
  const file = join(path, 'daemon.lock')
  // Its own process group: a Ctrl-C must reach the daemon, not the lock.
  const child = spawn('/bin/sh', ['-c', HOLD, 'sh', file, String(process.pid)], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  })
  child.stdin.on('error', () => {}) // the shell has gone already
  const held = await Promise.race([once(child.stdout, 'data').then(() => true), once(child, 'exit').then(() => false)])
  if (!held) throw await refusal(path, file, child.exitCode)
  const release = () => letGo(child)
  return { release, [Symbol.asyncDispose]: release }
}

async function letGo(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.stdin?.end()
  await ended
}

async function refusal(path: string, file: string, exitCode: number | null): Promise<AppError> {
  if (exitCode === PROGRAM_MISSING) {
    return new AppError('CONFIG_INVALID', 'flock is not on PATH, so the data directory cannot be locked', {
      hint: 'Install it: apt-get install util-linux, or brew install flock.',
    })
  }
  const holder = await readFile(file, 'utf8').catch(() => '')
  return new AppError(
    'CONFIG_INVALID',
    `LAYERD_DATA_DIR: another layerd (process ${holder.trim() || 'unknown'}) works on ${path}`,
    { hint: 'Stop it, or give this one a LAYERD_DATA_DIR of its own.' },
  )
}

import fs, { type FileHandle } from 'node:fs/promises'
import { writeSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

/**
 * Loaded before a program: sends it SIGKILL right before a change of files: the k-th (LAYERD_KILL_AT), or the k-th of those that
 * match LAYERD_KILL_BEFORE (`rename /path`). It prints `changes N` when it ends by itself. Every call before that one is the real one, untouched.
 */
const killAt = Number(process.env['LAYERD_KILL_AT'] ?? 0)
const before = process.env['LAYERD_KILL_BEFORE']
const killBefore = before === undefined ? undefined : new RegExp(before)
let changes = 0
let matches = 0

function change(name: string): void {
  changes += 1
  if (killBefore?.test(name) === true) matches += 1
  if ((killBefore ? matches : changes) !== killAt) return
  writeSync(1, `killed before ${name}\n`)
  process.kill(process.pid, 'SIGKILL')
}

function count(owner: Record<string, unknown>, names: readonly string[]): void {
  for (const name of names) {
    const call = owner[name] as (...args: unknown[]) => unknown
    owner[name] = function counted(this: unknown, ...args: unknown[]): unknown {
      if (name !== 'open' || args[1] !== 'r') change(`${name} ${typeof args[0] === 'string' ? args[0] : ''}`)
      return Reflect.apply(call, this, args)
    }
  }
}

const handle: FileHandle = await fs.open('/dev/null')
count(Object.getPrototypeOf(handle) as Record<string, unknown>, ['write', 'writeFile', 'sync', 'truncate'])
await handle.close()
count(fs, ['open', 'writeFile', 'appendFile', 'rename', 'rm', 'symlink', 'mkdir'])
syncBuiltinESMExports()
process.on('exit', () => void writeSync(1, `changes ${changes}\n`))

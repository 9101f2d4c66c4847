import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Duplex, Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

/** Shown by the guardian that found the lock taken; sysexits' EX_TEMPFAIL. */
const LOCK_TAKEN = 75

/**
 * A shell that outlives the process which started it, and lets nothing else do so (docs/adr/0032). `$1` the lock file, `$2` the
 * folder that goes with the program, `$3` how long what is told to end may take, in tenths of a second; the rest is the program.
 * - It holds the lock, and begins once it is told to. The lock (file 9, which the program does not get) is held until nothing of the program is left, in whatever way that ended.
 * - The program leads a session of its own: all that it and its children start is found by it, whatever groups they make.
 * - File 3 is a socket to who started it. Once that is closed, be it on purpose or by a death, the session is told to end, and
 *   killed where it does not. The same for what is left of it when the program has ended by itself.
 */
const GUARD = `lock=$1 folder=$2 tenths=$3; shift 3
exec 9>>"$lock"
flock -n 9 || { [ $? = 127 ] && exit 127; exit ${LOCK_TAKEN}; }
echo locked >&3
read -r go <&3 || exit 0
setsid "$@" 3>&- 9>&- </dev/null & leader=$!
trap '' PIPE
left() {
  found=
  for at in /proc/[0-9]*; do
    { read -r stat <"$at/stat"; } 2>/dev/null || continue
    set -- \${stat##*) }
    [ "$4" = $leader ] && [ "$1" != Z ] && [ "$1" != X ] && found="$found \${at#/proc/}"
  done
}
finish() {
  trap '' TERM HUP INT
  left; waited=0
  [ -n "$found" ] && kill -TERM $found 2>/dev/null
  while [ -n "$found" ] && [ $waited -lt $tenths ]; do sleep 0.1; waited=$((waited + 1)); left; done
  while [ -n "$found" ]; do kill -KILL $found 2>/dev/null; sleep 0.1; left; done
}
session() { { read -r stat <"/proc/$leader/stat"; } 2>/dev/null || return 0; set -- \${stat##*) }; [ "$1" = Z ] || [ "$4" = $leader ]; }
until session; do sleep 0.01; done
trap 'finish; rm -rf "$folder"; exit 143' TERM HUP INT
echo "started $leader" >&3 2>/dev/null
{ exec 9>&-; while read -r _; do :; done <&3; finish; } & watch=$!
wait $leader 2>/dev/null; status=$?
left; set -- $found
echo "ended $status $#" >&3 2>/dev/null
kill $watch 2>/dev/null
finish
rm -rf "$folder"
exit 0`

export interface GuardedCommand {
  readonly program: string
  readonly args: readonly string[]
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>
  /** Where it works: taken away with it, in whatever way it, and who started it, ended. */
  readonly folder: string
  /** Held until nothing of it is left. One guardian at a time has it. */
  readonly lock: string
  /** What is told to end may take so long. */
  readonly graceMs: number
}

export interface ProgramEnd {
  readonly code: number | null
  readonly signal: string | null
  /** Processes that it left behind, which were ended. */
  readonly left: number
}

export interface GuardedProgram {
  readonly stdout: Readable
  readonly stderr: Readable
  /** Settles once nothing of it is left; `killed`: its guardian was, before it could tell how the program ended. */
  readonly ended: Promise<ProgramEnd | 'killed'>
  /** Tells it and all its children to end. */
  end(): void
}

type Guardian = ChildProcess & { readonly stdout: Readable; readonly stderr: Readable }

/**
 * Starts the program, or answers `taken` where another guardian has the lock. `begin` is asked once it is held, and keeps the program from being started where it
 * throws. Throws what that does, what spawn throws, and where flock or setsid are missing.
 */
export async function startGuarded(
  command: GuardedCommand,
  begin: () => Promise<void> = async () => undefined,
): Promise<GuardedProgram | 'taken'> {
  const { program, args, env, folder, lock, graceMs } = command
  const tenths = String(Math.ceil(graceMs / 100))
  // A session of its own: what is sent to the worker's group does not reach it.
  const child = spawn('/bin/sh', ['-c', GUARD, 'sh', lock, folder, tenths, program, ...args], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  }) as Guardian
  const control = child.stdio[3] as Duplex
  control.on('error', () => {}) // it has ended already
  await once(child, 'spawn')
  const told = listen(control)
  // All that the guardian said is read before its end counts.
  const exited = Promise.all([once(child, 'exit'), told.silent])
  await Promise.race([told.locked, exited])
  if (!told.isLocked) {
    if (child.exitCode === LOCK_TAKEN) return 'taken'
    throw new Error(`the guardian ended with ${child.exitCode}: flock and setsid (util-linux) have to be on PATH`)
  }
  try {
    await begin()
  } catch (error) {
    control.destroy()
    throw error
  }
  control.write('go\n')
  const ended = endOf(child, { control, told, exited })
  return { stdout: child.stdout, stderr: child.stderr, ended, end: () => control.end() }
}

interface Told {
  readonly locked: Promise<void>
  /** Settles when it can say nothing more. */
  readonly silent: Promise<unknown>
  isLocked: boolean
  leader: number | undefined
  end: ProgramEnd | undefined
}

/** What the guardian says, a line each. */
function listen(control: Duplex): Told {
  const locked = Promise.withResolvers<void>()
  const silent = once(control, 'close')
  const told: Told = { locked: locked.promise, silent, isLocked: false, leader: undefined, end: undefined }
  let rest = ''
  control.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [word, first, second] = line.split(' ')
      if (word === 'locked') {
        told.isLocked = true
        locked.resolve()
      }
      if (word === 'started') told.leader = Number(first)
      if (word === 'ended') told.end = endOfStatus(Number(first), Number(second))
    }
  })
  return told
}

/** Source: POSIX sh, "Exit Status for Commands": more than 128 where a signal ended it. */
function endOfStatus(status: number, left: number): ProgramEnd {
  return status > 128 ? { code: null, signal: signalName(status - 128), left } : { code: status, signal: null, left }
}

const SIGNALS: Readonly<Record<number, string>> = { 6: 'SIGABRT', 9: 'SIGKILL', 11: 'SIGSEGV', 15: 'SIGTERM' }

function signalName(number: number): string {
  return SIGNALS[number] ?? `signal ${number}`
}

/** What it wrote is there by then, unless a process that left its session holds the pipe open. */
const REST_MS = 1000

async function endOf(
  child: Guardian,
  { control, told, exited }: { control: Duplex; told: Told; exited: Promise<unknown> },
): Promise<ProgramEnd | 'killed'> {
  const closed = once(child, 'close')
  await exited
  if (told.end === undefined && told.leader !== undefined) await killGroup(told.leader)
  await Promise.race([closed, delay(REST_MS, undefined, { ref: false })])
  control.destroy()
  child.stdout.destroy()
  child.stderr.destroy()
  return told.end ?? 'killed'
}

const KILL_WAIT_MS = 10_000

/** Its guardian is gone: what is left of the group is killed from here. */
async function killGroup(leader: number): Promise<void> {
  const until = performance.now() + KILL_WAIT_MS
  while (performance.now() < until && signalGroup(leader)) await delay(50)
}

function signalGroup(leader: number): boolean {
  try {
    return process.kill(-leader, 'SIGKILL')
  } catch {
    return false
  }
}

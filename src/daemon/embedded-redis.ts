import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { AppError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { LOCK_TAKEN, PROGRAM_MISSING } from './directory-lock.ts'
import { exitText, readExit, startHint, type RedisExit } from './redis-exit.ts'
import { askRedis, holdConnection, prepareSocketFolder } from './redis-socket.ts'
import { makeFolders } from '../lib/make-folders.ts'

/** The private Redis of one data directory. */
export interface EmbeddedRedis {
  readonly socketPath: string
  /** It ran already, and this process has taken it over. */
  readonly adopted: boolean
  /** Settles when it has ended, for whatever reason, with how. */
  readonly ended: Promise<RedisExit>
  /** Ends it in order: what it knows is on disk then. */
  stop(): Promise<void>
}

export interface EmbeddedRedisOptions {
  dataDir: string
  socketPath: string
  /** findRedisServer's. */
  program: string
  /** Bytes that it may use: past that it refuses writes. */
  maxMemory: number
  logger: Logger
}

/**
 * `$1` the lock file, `$2` the server, the rest its arguments.
 * - The server inherits the lock (file 9), so it is held exactly as long as the server lives: a second server on the same
 *   folder would take the socket away and both would write one append-only file.
 * - A reader of standard input, a pipe from the daemon, ends the server when the daemon ends in whatever way.
 */
const RUN = `exec 9>>"$1"; shift
flock -n 9 || { [ $? = ${PROGRAM_MISSING} ] && exit ${PROGRAM_MISSING}; exit ${LOCK_TAKEN}; }
echo locked; exec >/dev/null
exec 3<&0 </dev/null
"$@" 3<&- & server=$!
exec 9>&-
{ cat <&3 >/dev/null; kill -TERM $server 2>/dev/null; } & watch=$!
exec 3<&-
wait $server; status=$?
kill $watch 2>/dev/null
exit $status`

/** The same watch for a server that another daemon started: `$1` its process id. */
const WATCH = 'cat >/dev/null; kill -TERM "$1" 2>/dev/null'

type Shell = ChildProcessByStdio<Writable, Readable, null>

const POLL_MS = 20
/** How long the holder of the lock may answer nothing: it is ending, or loading a large file. */
const TAKEN_TIMEOUT_MS = 60_000
/** How long the shell may take to tell the exit code of the server whose socket is closed. */
const EXIT_CODE_MS = 1000

/**
 * Starts the private Redis, or takes over the one that still runs on the same directory. Resolves once it serves. Throws
 * CONFIG_INVALID when it can't run, with the last line of its log.
 */
export async function startEmbeddedRedis(options: EmbeddedRedisOptions): Promise<EmbeddedRedis> {
  const { socketPath, logger } = options
  const folder = join(options.dataDir, 'redis')
  await makeFolders(folder, 0o700)
  await prepareSocketFolder(socketPath)
  const giveUpAt = Date.now() + TAKEN_TIMEOUT_MS
  for (;;) {
    const child = run(options, folder)
    const exitCode = await servesOrExits(child, socketPath)
    if (exitCode === undefined) return supervised(child, options, false)
    if (exitCode !== LOCK_TAKEN || Date.now() > giveUpAt) throw await failure(exitCode, options.program, folder)
    const adopted = await adopt(options)
    if (adopted) {
      logger.info({ socket: socketPath }, 'took over the private Redis that still runs')
      return adopted
    }
    await delay(POLL_MS)
  }
}

function run({ program, socketPath, maxMemory }: EmbeddedRedisOptions, folder: string): Shell {
  const settings = {
    port: '0',
    unixsocket: socketPath,
    unixsocketperm: '700',
    dir: folder,
    appendonly: 'yes',
    // everysec keeps back what it has acknowledged while an fsync is under way, and loses it to a kill (docs/adr/0009).
    appendfsync: 'always',
    save: '',
    maxmemory: String(maxMemory),
    // BullMQ's condition: an evicted key is a lost job.
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
    logfile: join(folder, 'redis.log'),
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  return shell(RUN, [join(folder, 'lock'), program, ...flags])
}

/** A process group of its own: Ctrl-C is for the daemon, which then ends its Redis last. */
function shell(script: string, args: readonly string[]): Shell {
  const child = spawn('/bin/sh', ['-c', script, 'sh', ...args], { stdio: ['pipe', 'pipe', 'ignore'], detached: true })
  child.stdin.on('error', () => {}) // it has ended already
  return child
}

/** Undefined once the server answers, else how it ended. Loading a large file takes its time. */
async function servesOrExits(child: Shell, socketPath: string): Promise<number | undefined> {
  const exit = once(child, 'exit')
  // While another server holds the lock it is that one that would answer.
  await Promise.race([exit, once(child.stdout, 'data')])
  while (child.exitCode === null && child.signalCode === null) {
    if (await serves(socketPath)) return undefined
    await Promise.race([exit, delay(POLL_MS)])
  }
  return child.exitCode ?? 1
}

async function serves(socketPath: string): Promise<boolean> {
  return (await askRedis(socketPath, 'PING'))?.startsWith('+PONG') === true
}

/** The server that holds the lock, if it serves: watched from now on as if this process had started it. */
async function adopt(options: EmbeddedRedisOptions): Promise<EmbeddedRedis | undefined> {
  const { socketPath } = options
  if (!(await serves(socketPath))) return undefined
  const pid = /^process_id:(\d+)/m.exec((await askRedis(socketPath, 'INFO server')) ?? '')?.[1]
  return pid === undefined ? undefined : supervised(shell(WATCH, [pid]), options, true)
}

/** Ends with its connection, which the system closes with the server. */
async function supervised(
  child: Shell,
  { dataDir, socketPath }: EmbeddedRedisOptions,
  adopted: boolean,
): Promise<EmbeddedRedis> {
  const connection = await holdConnection(socketPath)
  const exited = once(child, 'exit')
  const closed = new Promise((resolve) => connection.once('close', resolve))
  const end = async (): Promise<RedisExit> => {
    await closed
    // Else its watch could one day end another process of the same number.
    if (adopted) child.kill('SIGKILL')
    else await Promise.race([exited, delay(EXIT_CODE_MS, undefined, { ref: false })])
    return readExit(join(dataDir, 'redis'), adopted ? undefined : (child.exitCode ?? undefined))
  }
  const ended = end()
  return {
    socketPath,
    adopted,
    ended,
    async stop() {
      child.stdin.end()
      await Promise.all([exited, ended])
    },
  }
}

async function failure(exitCode: number, program: string, folder: string): Promise<AppError> {
  if (exitCode === PROGRAM_MISSING) {
    return new AppError('CONFIG_INVALID', 'flock is not on PATH, so the private Redis cannot be started safely', {
      hint: 'Install it (apt-get install util-linux, or brew install flock), or set LAYERD_REDIS_URL.',
    })
  }
  const exit = await readExit(folder, exitCode)
  const taken = 'another process holds its folder and does not answer'
  const why = exitCode === LOCK_TAKEN ? taken : `it ${exitText(exit)}`
  return new AppError('CONFIG_INVALID', `the private Redis (${program}) does not serve: ${why}`, {
    hint: exitCode === LOCK_TAKEN ? `Look into ${exit.log}.` : startHint(exit),
  })
}

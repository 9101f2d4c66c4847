import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../lib/logger.ts'

export interface WorkerProcessOptions {
  count: number
  /** What to run, before `worker --name NAME`: Node's arguments and the program. */
  command: readonly [string, ...string[]]
  /** Names begin with it; a name is never used twice. */
  namePrefix: string
  /** A worker has been started, with a channel to it. */
  onStarted?: (child: ChildProcess) => void
  /** A worker has ended, by itself or by a kill. */
  onLost(name: string): void
  logger: Logger
}

export interface WorkerProcesses {
  /** Ends all in order: SIGTERM, and SIGKILL after `graceMs`. */
  stop(graceMs: number): Promise<void>
}

const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 10_000
/** Who lived for so long was no failure to start. */
const STEADY_MS = 10_000

/**
 * Keeps `count` workers alive. They stay in this process's own session, and hold a channel to it whose end tells them
 * that this process has died.
 */
export function startWorkerProcesses(options: WorkerProcessOptions): WorkerProcesses {
  const stopping = new AbortController()
  const alive = new Set<ChildProcess>()
  const slots = Array.from({ length: options.count }, (_, slot) => keepAlive(slot + 1, options, alive, stopping.signal))
  return {
    async stop(graceMs) {
      stopping.abort()
      for (const child of alive) child.kill('SIGTERM')
      const kill = setTimeout(() => {
        for (const child of alive) child.kill('SIGKILL')
      }, graceMs)
      await Promise.all(slots)
      clearTimeout(kill)
    },
  }
}

async function keepAlive(
  slot: number,
  options: WorkerProcessOptions,
  alive: Set<ChildProcess>,
  stopping: AbortSignal,
): Promise<void> {
  let failures = 0
  for (let incarnation = 1; !stopping.aborted; incarnation += 1) {
    const name = `${options.namePrefix}${slot}.${incarnation}`
    const startedAt = Date.now()
    const end = await runOnce(name, options, alive)
    if (stopping.aborted) return
    options.logger.error({ worker: name, ...end }, 'a worker process has ended; another one takes its place')
    options.onLost(name)
    failures = Date.now() - startedAt > STEADY_MS ? 0 : failures + 1
    const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, failures - 1))
    await delay(pauseMs, undefined, { signal: stopping }).catch(() => {})
  }
}

async function runOnce(
  name: string,
  { command: [program, ...args], onStarted }: WorkerProcessOptions,
  alive: Set<ChildProcess>,
): Promise<{ code: number | null; signal: NodeJS.Signals | null; error?: string }> {
  const child = spawn(program, [...args, 'worker', '--name', name], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  alive.add(child)
  onStarted?.(child)
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    return { code, signal }
  } catch (error) {
    return { code: null, signal: null, error: (error as Error).message }
  } finally {
    alive.delete(child)
  }
}

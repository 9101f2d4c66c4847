import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { atEnd } from '../at-end.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { type WaitOptions, waitFor } from '../wait-for.ts'

export interface StartOptions {
  cwd?: string
  /** Added to this process's environment, with `SURROUNDINGS` in it; undefined removes a name. */
  env?: Record<string, string | undefined>
  /** What goes to its standard input, which then ends. Default: nothing. */
  input?: string
  /** How long SIGTERM has before SIGKILL follows. Default 60 s. */
  graceMs?: number
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface RunningProcess {
  readonly pid: number
  /** Settles when it has ended and all its output is here. */
  readonly exit: Promise<Exit>
  stdout(): string
  stderr(): string
  /** Both, in the order of arrival. */
  output(): string
  isRunning(): boolean
  /** The first match in its output; fails early when it ends without one. */
  waitForOutput(pattern: RegExp, options?: WaitOptions): Promise<RegExpExecArray>
  signal(name: NodeJS.Signals): void
  /** SIGTERM, and SIGKILL after the grace time. */
  stop(): Promise<Exit>
  /** SIGKILL. */
  kill(): Promise<Exit>
}

/** How whoever runs the tests likes programs to speak, or how a build service says that nobody watches. */
const HABITS = ['CI', 'COLUMNS', 'FORCE_COLOR', 'LANGUAGE', 'LC_ALL', 'LC_CTYPE', 'LC_MESSAGES', 'LINES', 'NO_COLOR']
/** What a test's programs meet instead, the same on a developer's terminal as on a build service. */
const SURROUNDINGS = {
  ...Object.fromEntries(HABITS.map((name) => [name, undefined])),
  LANG: 'C.UTF-8',
  TERM: 'xterm',
  TZ: 'UTC',
}

/** Starts a program with its output captured; it is stopped when the test ends, if it still runs. */
export async function startProcess(
  t: Cleanup,
  command: string,
  args: readonly string[] = [],
  options: StartOptions = {},
): Promise<RunningProcess> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...SURROUNDINGS, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  await once(child, 'spawn')
  const forget = atEnd(() => child.kill('SIGKILL'))
  child.once('exit', forget)
  child.stdin.on('error', () => {}) // it may end without having read its input
  child.stdin.end(options.input ?? '')
  const handle = new ChildHandle(child, command, options.graceMs ?? 60_000)
  defer(t, async () => {
    await handle.stop()
  })
  return handle
}

class ChildHandle implements RunningProcess {
  readonly pid: number
  readonly exit: Promise<Exit>
  readonly #child: ChildProcess
  readonly #command: string
  readonly #graceMs: number
  #stdout = ''
  #stderr = ''
  #output = ''
  #running = true

  constructor(child: ChildProcess, command: string, graceMs: number) {
    if (child.pid === undefined) throw new Error(`${command} has no process id`)
    this.pid = child.pid
    this.#child = child
    this.#command = command
    this.#graceMs = graceMs
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#output += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      this.#output += text
    })
    child.once('exit', () => {
      this.#running = false
    })
    this.exit = new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal }))
    })
  }

  stdout(): string {
    return this.#stdout
  }

  stderr(): string {
    return this.#stderr
  }

  output(): string {
    return this.#output
  }

  isRunning(): boolean {
    return this.#running
  }

  async waitForOutput(pattern: RegExp, options?: WaitOptions): Promise<RegExpExecArray> {
    const found = await waitFor(
      `${this.#command} to print ${String(pattern)}`,
      () => pattern.exec(this.#output) ?? (this.#running ? undefined : 'ended'),
      options,
    ).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}; it printed:\n${this.#output}`)
    })
    if (found !== 'ended') return found
    await this.exit
    const late = pattern.exec(this.#output)
    if (late) return late
    throw new Error(`${this.#command} ended before it printed ${String(pattern)}; it printed:\n${this.#output}`)
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  async stop(): Promise<Exit> {
    if (!this.#running) return this.exit
    this.#child.kill('SIGTERM')
    this.#child.kill('SIGCONT') // one that a test has stopped would never see the SIGTERM
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), this.#graceMs)
    try {
      return await this.exit
    } finally {
      clearTimeout(timer)
    }
  }

  async kill(): Promise<Exit> {
    if (this.#running) this.#child.kill('SIGKILL')
    return this.exit
  }
}

/** Runs a program to its end, within `timeoutMs` (default 60 s). */
export async function runProcess(
  t: Cleanup,
  command: string,
  args: readonly string[] = [],
  { timeoutMs = 60_000, ...options }: StartOptions & { timeoutMs?: number } = {},
): Promise<Exit & { stdout: string; stderr: string; output: string }> {
  const child = await startProcess(t, command, args, options)
  await waitFor(`${command} ${args.join(' ')} to end`, () => !child.isRunning(), { timeoutMs })
  const exit = await child.exit
  return { ...exit, stdout: child.stdout(), stderr: child.stderr(), output: child.output() }
}

/** Whether a process of this id exists (a zombie that its parent has not collected yet counts). */
export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

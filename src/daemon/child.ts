import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

/** What children have of this process. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where what they say on standard error goes on to. */
  readonly stderr: (text: string) => void
}

/** What to run, and what it has in its environment beside this process's. */
export interface ChildCommand {
  readonly program: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** How this program is run. */
export interface NodeProgram {
  readonly node: string
  /** Of Node, for every process of it. */
  readonly flags: readonly string[]
  readonly main: string
}

/** The program in another role. `flags`: Node's. */
export function nodeCommand(program: NodeProgram, flags: readonly string[], args: readonly string[]): ChildCommand {
  return { program: program.node, args: [...program.flags, ...flags, program.main, ...args] }
}

/** V8's own limit where none is given: about half of the memory, and 4 GiB at most. */
export function heapFlags(bytes: number | undefined): string[] {
  return bytes === undefined ? [] : [`--max-old-space-size=${Math.ceil(bytes / 1024 ** 2)}`]
}

/** How a child ended. */
export interface ChildEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** In words. */
  readonly reason: string
  /** The telling line of what it last wrote to standard error. */
  readonly lastLine?: string
}

export interface Child {
  /** With a channel, whose end tells it that this process has died. */
  readonly process: ChildProcess
  /** Settles once it has ended; rejects where it could not be started. */
  readonly ended: Promise<ChildEnd>
}

/** What is kept of standard error: V8's account of a full heap has some 3 KiB. */
const TAIL_CHARS = 8192
/** What it wrote is there by then, unless a process of its own holds the other end of the pipe open. */
const REST_MS = 500
const LAST_WORDS_MS = 5000

/**
 * Starts a child in this process's own session. It writes its log by itself; what goes to standard error passes through
 * here, since that is where a process that dies says why.
 */
export function startChild({ program, args, env }: ChildCommand, surroundings: Surroundings): Child {
  const child = spawn(program, [...args], {
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    env: { ...surroundings.env, ...env },
  })
  let tail = ''
  let saidAt = 0
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    surroundings.stderr(text)
    tail = (tail + text).slice(-TAIL_CHARS)
    saidAt = performance.now()
  })
  // What was said long before is not why it ended.
  const lastWords = () => (performance.now() - saidAt < LAST_WORDS_MS ? tail : '')
  return { process: child, ended: endOf(child, lastWords) }
}

async function endOf(child: ChildProcess, tail: () => string): Promise<ChildEnd> {
  const closed = once(child, 'close').catch(() => undefined)
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  await Promise.race([closed, delay(REST_MS, undefined, { ref: false })])
  return { code, signal, ...why(code, signal, tail()) }
}

const HEAP_FULL = 'JavaScript heap out of memory'
const LINE_CHARS = 300

function why(code: number | null, signal: NodeJS.Signals | null, tail: string): Pick<ChildEnd, 'reason' | 'lastLine'> {
  const lines = tail.split('\n').filter((line) => line.trim() !== '')
  const full = lines.findLast((line) => line.includes(HEAP_FULL))
  // An uncaught error is followed by its stack, which begins with blanks, and by the version of Node.
  const said = full ?? lines.findLast((line) => !/^(?:\s|Node\.js v|[-=]+ )/.test(line))
  const ended = signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`
  return {
    reason: full === undefined ? ended : 'its heap was full',
    ...(said === undefined ? {} : { lastLine: said.trim().slice(0, LINE_CHARS) }),
  }
}

import { childController } from '../lib/abort.ts'
import type { Readable } from 'node:stream'
import { createEventBudget } from './event-budget.ts'
import { type GuardedCommand, type ProgramEnd, startGuarded } from './guardian.ts'
import { createLines } from './lines.ts'
import type { Mask } from './mask.ts'
import type { OutputFile } from './output-file.ts'
import { readLine, type Said } from './said.ts'

export interface ProgramRun extends GuardedCommand {
  readonly timeoutMs: number
  readonly mask: Mask
  readonly output: OutputFile
  /** Told of its lines, within an EventBudget. */
  readonly onSaid: (said: Said) => void
  readonly signal: AbortSignal
  /** Asked when nothing stands between the program and its start. */
  readonly begin: () => Promise<void>
}

export interface RunEnd {
  readonly end: ProgramEnd | 'killed'
  readonly timedOut: boolean
  /** The newest lines that it called errors, else the newest of all. */
  readonly lastLines: readonly string[]
  /** Lines that stand in its output alone. */
  readonly leftOut: number
}

const LAST_LINES = 5
const MESSAGE_CHARACTERS = 4000

/**
 * Runs a program to its end, which the signal and the time-out bring about. Once this settles nothing of it is left. Answers `taken` where another one has
 * the lock.
 */
export async function runProgram(run: ProgramRun): Promise<RunEnd | 'taken'> {
  const { mask, output, onSaid, signal, timeoutMs } = run
  const program = await startGuarded(run, run.begin)
  if (program === 'taken') return 'taken'
  using ending = childController(signal)
  const end = (): void => program.end()
  if (ending.signal.aborted) end()
  ending.signal.addEventListener('abort', end, { once: true })
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    end()
  }, timeoutMs)
  const budget = createEventBudget()
  const last = createLastLines()
  const tell = (line: string): void => {
    const read = readLine(line)
    const said = { ...read, message: cut(mask(read.message)) }
    last.add(said)
    if (budget.take(said)) onSaid(said)
  }
  try {
    const reading = [program.stdout, program.stderr].map((stream) => readLines(stream, { mask, output, tell }))
    const [ended] = await Promise.all([program.ended, ...reading])
    return { end: ended, timedOut, lastLines: last.lines, leftOut: budget.leftOut }
  } finally {
    clearTimeout(timer)
  }
}

/** Reads no faster than the lines are kept. */
async function readLines(
  stream: Readable,
  { mask, output, tell }: Pick<ProgramRun, 'mask' | 'output'> & { tell: (line: string) => void },
): Promise<void> {
  let lines: string[] = []
  const keep = async (): Promise<void> => {
    const kept = lines
    lines = []
    await output.add(kept)
  }
  const split = createLines(mask, (line) => {
    lines.push(line)
    tell(line)
  })
  try {
    for await (const chunk of stream) {
      split.push(chunk as Buffer)
      await keep()
    }
  } catch (error) {
    // It was closed before its end: somebody else still holds it.
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  }
  split.end()
  await keep()
}

function createLastLines() {
  const errors: string[] = []
  const all: string[] = []
  const add = (list: string[], line: string): void => {
    list.push(line)
    if (list.length > LAST_LINES) list.shift()
  }
  return {
    add({ level, message }: Said) {
      add(all, message)
      if (level === 'error') add(errors, message)
    },
    get lines(): readonly string[] {
      return errors.length > 0 ? errors : all
    },
  }
}

function cut(message: string): string {
  return message.length > MESSAGE_CHARACTERS ? `${message.slice(0, MESSAGE_CHARACTERS)}…` : message
}

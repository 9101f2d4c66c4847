import { withoutUnseen } from './text.ts'

/** Where the lines go, and whether it shows colours. */
export interface Screen {
  readonly isTTY?: boolean
  write(text: string): unknown
}

/** In front of the message, or of no use to who reads along. */
const SHOWN_ELSEWHERE = new Set(['level', 'time', 'pid', 'name', 'hostname', 'msg', 'err'])

const COLOURS: Readonly<Record<string, number>> = { trace: 90, debug: 90, info: 32, warn: 33, error: 31, fatal: 31 }

/** Takes pino's lines and writes them for people: `14:03:20.123 INFO  job accepted  jobId=... kind=publish`. */
export function prettyStream(screen: Screen): { write(line: string): void } {
  return { write: (line) => void screen.write(prettyLine(line, screen.isTTY === true)) }
}

export function prettyLine(line: string, coloured: boolean): string {
  let entry: Record<string, unknown>
  try {
    entry = JSON.parse(line) as Record<string, unknown>
  } catch {
    return line
  }
  const { level, time, msg, err } = entry
  const word = String(level).toUpperCase().padEnd(5)
  const shown = coloured ? `\u001b[${COLOURS[String(level)] ?? 0}m${word}\u001b[0m` : word
  const facts = Object.entries(entry)
    .filter(([name]) => !SHOWN_ELSEWHERE.has(name))
    .map(([name, value]) => `${name}=${valueText(value)}`)
  const words = [
    clockOf(time),
    shown,
    typeof msg === 'string' ? withoutUnseen(msg) : '',
    ...(facts.length > 0 ? [` ${facts.join(' ')}`] : []),
  ]
  return `${words.join(' ')}\n${errorText(err)}`
}

/** In this machine's time, as its reader's watch has it. */
function clockOf(time: unknown): string {
  const at = new Date(String(time))
  if (Number.isNaN(at.getTime())) return String(time)
  const two = (number: number) => String(number).padStart(2, '0')
  const ms = String(at.getMilliseconds()).padStart(3, '0')
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${ms}`
}

function valueText(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  const plain = withoutUnseen(value)
  return /[\s"=]/.test(plain) ? JSON.stringify(plain) : plain
}

function errorText(error: unknown): string {
  const { stack, message } = (error ?? {}) as { stack?: unknown; message?: unknown }
  const text = stack ?? message
  if (typeof text !== 'string') return ''
  return text
    .split('\n')
    .map((line) => `    ${withoutUnseen(line)}\n`)
    .join('')
}

import { jsonObject } from '../lib/formats/json-object.ts'

export interface Said {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  /** What zarf is at, where the line tells. */
  readonly component?: string
}

const LEVELS: Readonly<Record<string, Said['level']>> = { DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' }
/** Source: zarf's own lines, `deploying component` with the name as `name` (src/pkg/packager/deploy.go). */
const COMPONENT = /^(?:deploying|removing) component$/

/** A line of the program in words: of zarf's JSON its message with what stands beside it, any other as it is. */
export function readLine(line: string): Said {
  const told = line.startsWith('{') ? jsonObject(line) : undefined
  if (!told || typeof told['msg'] !== 'string') return { level: 'info', message: line }
  const { time: _time, level, msg, source: _source, ...fields } = told
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${wordOf(value)}`)
  const { name } = fields
  return {
    level: (typeof level === 'string' ? LEVELS[level] : undefined) ?? 'info',
    message: [msg, ...rest].join(' '),
    ...(COMPONENT.test(msg) && typeof name === 'string' ? { component: name } : {}),
  }
}

function wordOf(value: unknown): string {
  return typeof value === 'string' && !/[\s"=]/.test(value) && value !== '' ? value : JSON.stringify(value)
}

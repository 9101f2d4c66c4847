import { type Logger, type LoggerOptions, pino, stdTimeFunctions } from 'pino'
import { prettyStream, type Screen } from './pretty-log.ts'

export type { Logger } from 'pino'

export interface LoggerSettings {
  level: string
  name: string
  /** Where lines for people go. Default: JSON on standard output. */
  screen?: Screen | undefined
}

/**
 * The process's logger: one JSON object a line, with the level as a word and the time in ISO, or lines for people. Secrets
 * are never handed to it, and these paths are a second guard.
 */
export function createLogger({ level, name, screen }: LoggerSettings): Logger {
  const options: LoggerOptions = {
    level,
    name,
    // A process is known by its role and name; the machine by whoever collects the lines.
    base: { pid: process.pid, name },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: ['req.headers.authorization', 'req.headers["x-registry-auth"]', '*.password', '*.secret'],
  }
  return screen ? pino(options, prettyStream(screen)) : pino(options)
}

export const silentLogger: Logger = pino({ level: 'silent' })

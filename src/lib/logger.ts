import { type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/** The process's logger: JSON lines on stdout; secrets are never handed to it, and these paths are a second guard. */
export function createLogger(options: { level: string; name: string }): Logger {
  return pino({
    level: options.level,
    name: options.name,
    redact: ['req.headers.authorization', 'req.headers["x-registry-auth"]', '*.password', '*.secret'],
  })
}

export const silentLogger: Logger = pino({ level: 'silent' })

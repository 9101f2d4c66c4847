import type { ApiClient } from './api-client.ts'
import type { Terminal } from './terminal.ts'

/** Options of every command of the client. */
export interface OutputOptions {
  json?: boolean
  quiet?: boolean
  url?: string
  insecure?: boolean
}

/** How the daemon reaches the registry. */
export interface RegistryOptions {
  plainHttp?: boolean
  username?: string
  passwordStdin?: boolean
}

/** What every command of the client gets. */
export interface CommandContext {
  readonly client: ApiClient
  readonly terminal: Terminal
  /** Ends all requests of the command. */
  readonly stop: AbortController
  readonly json: boolean
  readonly quiet: boolean
}

/** Wrong use, said in full by its message. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** A failure on this machine, said in full by its message. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
}

/** Ctrl-C ended the command; the message says what became of its work. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
}

/** Runs a task that Ctrl-C ends, rather than the whole process, so that it can take back what it began. */
export async function interruptible<T>(
  { terminal, stop }: CommandContext,
  message: string | (() => string),
  task: () => Promise<T>,
): Promise<T> {
  const told = () => (typeof message === 'string' ? message : message())
  const stopListening = terminal.onInterrupt(() => stop.abort(new Interrupted(told())))
  try {
    return await task()
  } catch (error) {
    throw stop.signal.reason instanceof Interrupted ? stop.signal.reason : error
  } finally {
    stopListening()
  }
}

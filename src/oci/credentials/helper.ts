import { spawn } from 'node:child_process'
import { AppError, type Retry } from '../../lib/errors.ts'
import { abortReason, throwIfAborted } from '../../lib/abort.ts'
import { type Environment, helperEnvironment } from './helper-environment.ts'
import type { RegistryCredential } from './provider.ts'
import { toCredential } from './secret.ts'

export type { Environment } from './helper-environment.ts'

/** What a helper is asked. */
export interface HelperQuestion {
  /** `x` of docker-credential-x. */
  readonly helper: string
  /** The file that names it, for errors. */
  readonly namedIn: string
  readonly serverUrl: string
}

export interface HelperOptions {
  env: Environment
  signal: AbortSignal
  /** Default 10 s. */
  timeoutMs?: number | undefined
}

const DEFAULT_TIMEOUT_MS = 10_000
const MAX_OUTPUT = 64 * 1024
/** Letters that cannot make a path or an option of it. */
const SUFFIX = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const NOT_FOUND = 'credentials not found in native keychain'
/** What would be the same at another try; all else (EAGAIN, EMFILE, ENOMEM, a file that is being written) passes. */
const NOT_THERE: ReadonlyMap<unknown, string> = new Map([
  ['ENOENT', 'there is no such program on PATH'],
  ['ENOTDIR', 'there is no such program on PATH'],
  ['EACCES', "layerd's user may not run it"],
  ['EPERM', "layerd's user may not run it"],
  ['ENOEXEC', 'it is no program of this machine'],
])

/**
 * Asks `docker-credential-<helper> get` about a registry; undefined when it has none. The program is found on PATH and
 * run without a shell, for at most ten seconds and 64 KiB. Throws CREDENTIALS_INVALID, without what it printed: an
 * output that does not parse may still hold the secret. Transient where it took too long, crashed or complained: agents
 * start, keychains lock and clouds' services rest for a moment. Source: docker-credential-helpers client/client.go.
 */
export async function runCredentialHelper(
  question: HelperQuestion,
  options: HelperOptions,
): Promise<RegistryCredential | undefined> {
  if (!SUFFIX.test(question.helper)) throw failed(question, 'its name is not one of a helper')
  const { how, output } = await run(question, options)
  if (how !== 'status 0') {
    if (output.trim() === NOT_FOUND) return undefined
    throw failed(question, `it ended with ${how}`, { retry: 'transient' })
  }
  const answer = parse(output)
  if (answer === undefined) throw failed(question, 'it did not answer with a user name and a password')
  return toCredential(answer)
}

function parse(output: string): { username: string; password: string } | undefined {
  try {
    // A byte order mark is a blank here.
    const { Username: username, Secret: password } = JSON.parse(output.trim()) as Record<string, unknown>
    return typeof username === 'string' && typeof password === 'string' ? { username, password } : undefined
  } catch {
    return undefined
  }
}

interface Run {
  /** `status 1`, `signal SIGSEGV`. */
  readonly how: string
  readonly output: string
}

function run(question: HelperQuestion, { env, signal, timeoutMs = DEFAULT_TIMEOUT_MS }: HelperOptions): Promise<Run> {
  throwIfAborted(signal)
  return new Promise((resolve, reject) => {
    const child = started(question, env)
    const chunks: Buffer[] = []
    let size = 0
    const settle = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
    const stop = (error: Error) => {
      settle()
      end(child.pid)
      // Who left the group may hold the pipe open.
      child.stdout?.destroy()
      reject(error)
    }
    const tooLong = `it took longer than ${timeoutMs} ms`
    const timer = setTimeout(() => stop(failed(question, tooLong, { retry: 'transient' })), timeoutMs)
    const onAbort = () => stop(abortReason(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    child.on('error', (error: NodeJS.ErrnoException) => stop(notStarted(question, error)))
    // Where it could not be started it has no streams, or dead ones.
    if (child.pid === undefined) return
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_OUTPUT) stop(failed(question, `it printed more than ${MAX_OUTPUT} bytes`))
      else chunks.push(chunk)
    })
    child.on('close', (status, killedBy) => {
      settle()
      const how = killedBy === null ? `status ${status}` : `signal ${killedBy}`
      resolve({ how, output: Buffer.concat(chunks).toString('utf8') })
    })
    // A helper that ends without reading breaks the pipe; its status tells.
    child.stdin.on('error', () => {})
    child.stdin.end(question.serverUrl)
  })
}

/** As a group of its own, so that what a script has started ends with it. */
function started(question: HelperQuestion, env: Environment) {
  try {
    return spawn(`docker-credential-${question.helper}`, ['get'], {
      env: helperEnvironment(env),
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    })
  } catch (error) {
    // Some errors are thrown here (ENOMEM), most are told later.
    throw notStarted(question, error as NodeJS.ErrnoException)
  }
}

function end(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

function notStarted(question: HelperQuestion, error: NodeJS.ErrnoException): AppError {
  const why = NOT_THERE.get(error.code)
  if (why !== undefined) return failed(question, why, { cause: error })
  return failed(question, `it could not be started (${error.code ?? 'unknown error'})`, {
    cause: error,
    retry: 'transient',
  })
}

function failed(
  { helper, namedIn }: HelperQuestion,
  why: string,
  options: { cause?: unknown; retry?: Retry } = {},
): AppError {
  const name = `docker-credential-${helper}`
  return new AppError('CREDENTIALS_INVALID', `the credential helper ${name}, which ${namedIn} names, failed: ${why}`, {
    ...options,
    hint: "Run it by hand as layerd's user, change credsStore or credHelpers in Docker's config.json, or give the credentials with the job in X-Registry-Auth.",
  })
}

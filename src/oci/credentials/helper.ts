import { spawn } from 'node:child_process'
import { AppError } from '../../lib/errors.ts'
import { abortReason, throwIfAborted } from '../../lib/abort.ts'
import type { RegistryCredential } from './provider.ts'
import { toCredential } from './secret.ts'

export type Environment = Readonly<Record<string, string | undefined>>

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
/** What helpers for keychains, pass and the clouds' registries read. Nothing of layerd's own settings. */
const PASSED_ON =
  /^(?:PATH|HOME|USER|LOGNAME|TMPDIR|LANG|DOCKER_CONFIG|DBUS_SESSION_BUS_ADDRESS|GNUPGHOME|PASSWORD_STORE_DIR|(?:https?|no)_proxy|HTTPS?_PROXY|NO_PROXY|SSL_CERT_(?:FILE|DIR)|(?:XDG|AWS|AZURE|GOOGLE|CLOUDSDK)_\w+)$/

/**
 * Asks `docker-credential-<suffix> get` about a registry; undefined when it has none. The program is found on PATH and
 * run without a shell, for at most ten seconds and 64 KiB. Throws CREDENTIALS_INVALID, without what it printed: an
 * output that does not parse may still hold the secret. Source: docker-credential-helpers client/client.go.
 */
export async function runCredentialHelper(
  suffix: string,
  serverUrl: string,
  options: HelperOptions,
): Promise<RegistryCredential | undefined> {
  if (!SUFFIX.test(suffix)) throw failed(suffix, 'its name is not one of a helper')
  const { status, output } = await run(suffix, serverUrl, options)
  if (status !== 0) {
    if (output.trim() === NOT_FOUND) return undefined
    throw failed(suffix, `it ended with status ${status}`)
  }
  const answer = parse(output)
  if (answer === undefined) throw failed(suffix, 'it did not answer with a user name and a password')
  return toCredential(answer)
}

function parse(output: string): { username: string; password: string } | undefined {
  try {
    const { Username: username, Secret: password } = JSON.parse(output) as { Username?: unknown; Secret?: unknown }
    return typeof username === 'string' && typeof password === 'string' ? { username, password } : undefined
  } catch {
    return undefined
  }
}

function run(
  suffix: string,
  input: string,
  options: HelperOptions,
): Promise<{ status: number | null; output: string }> {
  const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = options
  throwIfAborted(signal)
  return new Promise((resolve, reject) => {
    const child = spawn(`docker-credential-${suffix}`, ['get'], {
      env: Object.fromEntries(Object.entries(options.env).filter(([name]) => PASSED_ON.test(name))),
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    const chunks: Buffer[] = []
    let size = 0
    const settle = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
    const stop = (error: Error) => {
      settle()
      child.kill('SIGKILL')
      // A grandchild may hold the pipe open.
      child.stdout.destroy()
      reject(error)
    }
    const timer = setTimeout(() => stop(failed(suffix, `it took longer than ${timeoutMs} ms`)), timeoutMs)
    const onAbort = () => stop(abortReason(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_OUTPUT) stop(failed(suffix, `it printed more than ${MAX_OUTPUT} bytes`))
      else chunks.push(chunk)
    })
    child.on('error', (error: NodeJS.ErrnoException) =>
      stop(failed(suffix, error.code === 'ENOENT' ? 'there is no such program on PATH' : 'it cannot be run', error)),
    )
    child.on('close', (status) => {
      settle()
      resolve({ status, output: Buffer.concat(chunks).toString('utf8') })
    })
    // A helper that ends without reading breaks the pipe; its status tells.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

function failed(suffix: string, why: string, cause?: unknown): AppError {
  return new AppError('CREDENTIALS_INVALID', `the credential helper docker-credential-${suffix} failed: ${why}`, {
    hint: "Run it by hand as layerd's user, change credsStore or credHelpers in Docker's config.json, or give the credentials with the job in X-Registry-Auth.",
    cause,
  })
}

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../lib/errors.ts'
import { trimEndOf } from '../../lib/text.ts'
import { dockerConfigKey, registryKey } from '../facts/registry-name.ts'
import { type Environment, runCredentialHelper } from './helper.ts'
import type { CredentialProvider, RegistryCredential } from './provider.ts'
import { toCredential } from './secret.ts'

export interface DockerCredentialsOptions {
  /** The process's environment: DOCKER_CONFIG, DOCKER_AUTH_CONFIG and HOME are read; helpers get a part of it. */
  env: Environment
  /** How long a helper may take. Default 10 s. */
  helperTimeoutMs?: number
}

/**
 * Docker's own credentials: DOCKER_AUTH_CONFIG, then `credHelpers`, `credsStore` and `auths` of $DOCKER_CONFIG/config.json
 * (else ~/.docker/config.json). The file is read at each lookup, so a docker login counts at once. Throws
 * CREDENTIALS_INVALID where file, entry or helper is broken; no message holds any of their content.
 * Source: docker/cli cli/config, docker-credential-helpers.
 */
export function dockerCredentials({ env, helperTimeoutMs }: DockerCredentialsOptions): CredentialProvider {
  const folder = env.DOCKER_CONFIG || (env.HOME ? join(env.HOME, '.docker') : undefined)
  return {
    async credential(registry, signal) {
      const inline = env.DOCKER_AUTH_CONFIG
      const given = inline ? fromAuths(parseConfig(inline, 'DOCKER_AUTH_CONFIG'), registry) : undefined
      if (given !== undefined || folder === undefined) return given
      const path = join(folder, 'config.json')
      const text = await readConfig(path)
      if (text === undefined) return undefined
      const config = parseConfig(text, path)
      const helper = helperFor(config, registry)
      const kept =
        helper === undefined
          ? undefined
          : await runCredentialHelper(helper, dockerConfigKey(registry), { env, signal, timeoutMs: helperTimeoutMs })
      return kept ?? fromAuths(config, registry)
    },
  }
}

interface Config {
  readonly where: string
  readonly json: Record<string, unknown>
}

async function readConfig(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw invalid(path, `it cannot be read (${code ?? 'unknown error'})`, error)
  }
}

/** An empty file, which `touch` or a mount leaves, and `null` say what `{}` says. */
function parseConfig(text: string, where: string): Config {
  let json: unknown
  try {
    json = JSON.parse(text.trim() || '{}') ?? {}
  } catch {
    // The parser's message quotes its input, which holds secrets.
    throw invalid(where, 'it is not JSON')
  }
  if (!isObject(json)) throw invalid(where, 'it is not a JSON object')
  return { where, json }
}

function helperFor({ json }: Config, registry: string): string | undefined {
  const found = entryFor(json.credHelpers, registry)?.[1] ?? json.credsStore
  return typeof found === 'string' && found !== '' ? found : undefined
}

function fromAuths(config: Config, registry: string): RegistryCredential | undefined {
  const found = entryFor(config.json.auths, registry)
  if (found === undefined || found[1] === null) return undefined
  const [key, entry] = found
  if (!isObject(entry)) throw invalid(config.where, `the entry "${key}" of auths is not an object`)
  const text = (name: string) => (typeof entry[name] === 'string' ? entry[name] : undefined)
  const pair = text('auth') ? decodePair(text('auth') ?? '', { where: config.where, key }) : undefined
  return toCredential({
    username: pair?.username ?? text('username'),
    password: pair?.password ?? text('password'),
    identityToken: text('identitytoken'),
    registryToken: text('registrytoken'),
  })
}

/** The registry's own key first, then any that means the same host, as Docker's ConvertToHostname does. */
function entryFor(map: unknown, registry: string): [string, unknown] | undefined {
  if (!isObject(map)) return undefined
  const exact = dockerConfigKey(registry)
  if (Object.hasOwn(map, exact)) return [exact, map[exact]]
  const wanted = registryKey(registry)
  return Object.entries(map).find(([key]) => registryKey(key) === wanted)
}

/** base64 of "user:password"; a password may hold colons, and some tools pad with NULs. */
function decodePair(auth: string, from: { where: string; key: string }): { username: string; password: string } {
  const text = Buffer.from(auth, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon <= 0) throw invalid(from.where, `the entry "${from.key}" of auths is not base64 of user:password`)
  return { username: text.slice(0, colon), password: trimEndOf(text.slice(colon + 1), '\0') }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(where: string, why: string, cause?: unknown): AppError {
  return new AppError('CREDENTIALS_INVALID', `the Docker credentials in ${where} cannot be used: ${why}`, {
    hint: 'Mend the file, log in again with docker login, or give the credentials with the job in X-Registry-Auth.',
    cause,
  })
}

import { availableParallelism, homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { AppError } from '../lib/errors.ts'
import { isHeaderWord } from '../lib/text.ts'
import { expectation, type Shape } from './shape.ts'
import { CatalogueEnvironment } from './catalogue.ts'
import { isLoopback, parseListen } from './listen.ts'
import { unescapable } from '../lib/formats/escapes.ts'
import { OidcEnvironment, readOidc } from './oidc.ts'
import { type OutboundSettings, parseSwitch, registryEntry } from './outbound.ts'
import { type Env, readSecret } from './secrets.ts'
import { parseSize } from './sizes.ts'

/** Memory of a job in flight: `options.concurrency` layers x about 2 MiB of buffers, so 6 x 2 MiB by default. */
const JOBS_PER_WORKER = 4
const MAX_DEFAULT_WORKERS = 4
const MIN_HEAP_BYTES = 64 * 1024 ** 2
const MIN_REDIS_BYTES = 16 * 1024 ** 2
const MIN_WINDOW_BYTES = 8 * 1024 ** 2
const MAX_WINDOW_BYTES = 2 * 1024 ** 3

/** Every setting, as the environment writes it. README and docs/operations.md list the same. */
export const Environment = Type.Object({
  LAYERD_LISTEN: Type.String({ default: '127.0.0.1:8420', description: 'host:port or [address]:port of the API.' }),
  LAYERD_PUBLIC_URL: Type.Optional(Type.String({ description: 'What the API is called from outside.' })),
  LAYERD_DATA_DIR: Type.Optional(Type.String({ description: 'Store, uploads, packages, the private Redis.' })),
  LAYERD_REDIS_URL: Type.Optional(Type.String({ description: 'redis:// or rediss://; without it an own Redis runs.' })),
  LAYERD_REDIS_PREFIX: Type.String({
    default: 'layerd',
    pattern: '^[A-Za-z0-9_.-]{1,64}$',
    description: 'Hash tag of all keys: letters, digits, _ . -',
  }),
  LAYERD_REDIS_SERVER: Type.Optional(Type.String({ description: 'Program of the own Redis.' })),
  LAYERD_REDIS_MAXMEMORY: Type.Optional(
    Type.String({ description: 'What the own Redis may use of memory: bytes, or 512MiB, 2GiB.' }),
  ),
  LAYERD_SECRET_KEY_FILE: Type.Optional(
    Type.String({ description: '32 bytes as base64, one key a line, the newest first; made when missing.' }),
  ),
  LAYERD_STORE_MAX_BYTES: Type.Optional(
    Type.String({ description: 'What the store may take: bytes, or 10GB, 512MiB.' }),
  ),
  LAYERD_DISK_RESERVE: Type.Optional(
    Type.String({ description: 'What the disk keeps free: bytes, or 10GB, 512MiB; 0 for nothing.' }),
  ),
  LAYERD_FILE_ROOTS: Type.Optional(Type.String({ description: 'Absolute folders, separated by colons.' })),
  LAYERD_POLICY_FILE: Type.Optional(
    Type.String({ description: 'What packages have to be signed by, by registry and repository; JSON or YAML.' }),
  ),
  LAYERD_TRUSTED_ROOTS: Type.Optional(
    Type.String({ description: 'A folder of NAME.json, by which keyless signatures are verified.' }),
  ),
  LAYERD_TOKENS_FILE: Type.Optional(Type.String({ description: 'Lines of: name sha256-hex scope,...' })),
  ...OidcEnvironment,
  ...CatalogueEnvironment,
  LAYERD_RATE_PER_PRINCIPAL: Type.Integer({
    default: 6000,
    minimum: 0,
    maximum: 10_000_000,
    description: 'Requests a minute that a caller may send; 0: as many as they like.',
  }),
  LAYERD_RATE_PER_ADDRESS: Type.Integer({
    default: 600,
    minimum: 0,
    maximum: 10_000_000,
    description: 'The same of an address, without a token.',
  }),
  LAYERD_AUDIT_ENTRIES: Type.Integer({
    default: 10_000,
    minimum: 100,
    maximum: 1_000_000,
    description: 'Entries of the audit that are kept, and as many of what was refused or failed.',
  }),
  LAYERD_AUDIT_FILE: Type.Optional(Type.String({ description: 'JSON lines of who did what are appended to it.' })),
  LAYERD_WORKERS: Type.Integer({
    default: Math.min(availableParallelism(), MAX_DEFAULT_WORKERS),
    minimum: 0,
    maximum: 256,
    description: 'Worker processes of the all-in-one role.',
  }),
  LAYERD_API_HEAP: Type.Optional(
    Type.String({ description: 'Heap of the API process of the all-in-one role: 512MiB, 2GiB.' }),
  ),
  LAYERD_WORKER_HEAP: Type.Optional(
    Type.String({ description: 'Heap of each worker process of the all-in-one role: 512MiB, 2GiB.' }),
  ),
  LAYERD_JOBS_PER_WORKER: Type.Integer({
    default: JOBS_PER_WORKER,
    minimum: 1,
    maximum: 256,
    description: 'Jobs at once in a worker process.',
  }),
  LAYERD_REGISTRY_JOBS: Type.Integer({
    default: 8,
    minimum: 1,
    maximum: 1024,
    description: 'Jobs at once per registry host, over all workers.',
  }),
  LAYERD_MAX_HOSTS: Type.Integer({
    default: 1000,
    minimum: 1,
    maximum: 100_000,
    description: 'Registry hosts whose jobs may be open at once.',
  }),
  LAYERD_MAX_JOBS: Type.Integer({
    default: 20_000,
    minimum: 1,
    maximum: 200_000,
    description: 'Jobs that may be open at once.',
  }),
  LAYERD_UPLOADS_PER_PRINCIPAL: Type.Integer({
    default: 32,
    minimum: 1,
    maximum: 10_000,
    description: 'Uploads that a caller may have open at once.',
  }),
  LAYERD_ZSTD_WINDOW: Type.String({
    default: '128MiB',
    description: 'Window that a compressed package may ask for: 128MiB, 512MiB; 2GiB at most.',
  }),
  LAYERD_PLAIN_HTTP_REGISTRIES: Type.String({ default: '', description: 'host[:port], separated by commas.' }),
  LAYERD_ALLOWED_REGISTRIES: Type.Optional(
    Type.String({ description: 'host[:port] or *.host, separated by commas; no other registry is spoken to.' }),
  ),
  LAYERD_ALLOW_PRIVATE: Type.Optional(
    Type.String({ description: 'true, or host[:port] separated by commas: registries in private networks.' }),
  ),
  LAYERD_DENY_PRIVATE: Type.Optional(
    Type.String({ description: 'true: no registry in a private network but those that settings name.' }),
  ),
  LAYERD_ZARF: Type.Optional(
    Type.String({ description: 'The program zarf, by its path or its name on PATH: jobs may deploy with it.' }),
  ),
  LAYERD_LOG_LEVEL: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    default: 'info',
    description: 'What is logged: this and what is worse.',
  }),
  LAYERD_LOG_FORMAT: Type.Optional(
    Type.Enum(['json', 'pretty'], { description: 'Default: pretty on a terminal, else json.' }),
  ),
  LAYERD_WORKER_LISTEN: Type.Optional(
    Type.String({ description: 'host:port of probes and figures of a worker that was started alone.' }),
  ),
  LAYERD_URL: Type.String({ default: 'http://127.0.0.1:8420', description: 'The API, for the command line.' }),
  LAYERD_TOKEN: Type.Optional(Type.String({ description: 'A bearer token, for the command line.' })),
})
type Environment = Static<typeof Environment>
export type SettingName = keyof Environment
type Name = SettingName

/** Settings that may hold a secret, so that their file is taken too. */
export const SECRETS: ReadonlySet<Name> = new Set<Name>([
  'LAYERD_REDIS_URL',
  'LAYERD_TOKEN',
  'LAYERD_OIDC_CLIENT_SECRET',
])

/** All names that `loadConfig` reads. */
export const SETTING_NAMES: readonly string[] = Object.keys(Environment.properties).flatMap((name) =>
  SECRETS.has(name as Name) ? [name, `${name}_FILE`] : [name],
)

export type Config = Readonly<ReturnType<typeof derive>>

/** Reads the settings. Throws CONFIG_INVALID, which names the variable and says what is wrong with it. */
export function loadConfig(env: Env): Config {
  const raw: Record<string, unknown> = {}
  for (const name of Object.keys(Environment.properties) as Name[]) {
    const text = SECRETS.has(name) ? readSecret(env, name) : env[name] || undefined
    if (text === undefined) continue
    raw[name] = shapeOf(name).type === 'integer' && /^\d{1,15}$/.test(text) ? Number(text) : text
  }
  const settings = Value.Default(Environment, raw) as Environment
  const [error] = Value.Errors(Environment, settings)
  if (error) {
    const name = error.instancePath.slice(1) as Name
    throw invalid(name, settings[name], expectation(shapeOf(name)))
  }
  return Object.freeze(derive(settings, env))
}

/** Without tokens only this machine may reach the API. Throws CONFIG_INVALID. For the roles that listen. */
export function requireSafeListen({ listen, tokensFile, oidc }: Config): void {
  if (isLoopback(listen) || tokensFile !== undefined || oidc !== undefined) return
  throw new AppError(
    'CONFIG_INVALID',
    `LAYERD_LISTEN: ${listen.host} can be reached from other machines, and neither LAYERD_TOKENS_FILE nor LAYERD_OIDC_ISSUER is set`,
    { hint: 'Set one of them, or listen on 127.0.0.1.' },
  )
}

function derive(settings: Environment, env: Env) {
  const dataDir = resolve(settings.LAYERD_DATA_DIR ?? join(dataHome(env), 'layerd'))
  const roots = settings.LAYERD_FILE_ROOTS
  const plainHttp = registries('LAYERD_PLAIN_HTTP_REGISTRIES', settings.LAYERD_PLAIN_HTTP_REGISTRIES)
  return {
    listen: checked('LAYERD_LISTEN', settings.LAYERD_LISTEN, parseListen, 'host:port or [address]:port'),
    workerListen:
      settings.LAYERD_WORKER_LISTEN === undefined
        ? undefined
        : checked('LAYERD_WORKER_LISTEN', settings.LAYERD_WORKER_LISTEN, parseListen, 'host:port or [address]:port'),
    publicUrl: optionalUrl('LAYERD_PUBLIC_URL', settings.LAYERD_PUBLIC_URL, ['http:', 'https:']),
    dataDir,
    redisUrl: optionalUrl('LAYERD_REDIS_URL', settings.LAYERD_REDIS_URL, ['redis:', 'rediss:']),
    redisPrefix: settings.LAYERD_REDIS_PREFIX,
    redisServer: settings.LAYERD_REDIS_SERVER,
    redisMaxMemory: optionalBytes('LAYERD_REDIS_MAXMEMORY', settings.LAYERD_REDIS_MAXMEMORY, MIN_REDIS_BYTES),
    secretKeyFile: resolve(settings.LAYERD_SECRET_KEY_FILE ?? join(dataDir, 'secret.key')),
    storeMaxBytes: optionalSize('LAYERD_STORE_MAX_BYTES', settings.LAYERD_STORE_MAX_BYTES),
    diskReserve:
      settings.LAYERD_DISK_RESERVE === '0' ? 0 : optionalSize('LAYERD_DISK_RESERVE', settings.LAYERD_DISK_RESERVE),
    fileRoots: Object.freeze(roots === undefined ? [join(dataDir, 'packages')] : parseRoots(roots)),
    tokensFile: settings.LAYERD_TOKENS_FILE,
    oidc: readOidc(settings),
    policyFile: settings.LAYERD_POLICY_FILE === undefined ? undefined : resolve(settings.LAYERD_POLICY_FILE),
    trustedRoots: settings.LAYERD_TRUSTED_ROOTS === undefined ? undefined : resolve(settings.LAYERD_TRUSTED_ROOTS),
    rates: { perPrincipal: settings.LAYERD_RATE_PER_PRINCIPAL, perAddress: settings.LAYERD_RATE_PER_ADDRESS },
    auditEntries: settings.LAYERD_AUDIT_ENTRIES,
    auditFile: settings.LAYERD_AUDIT_FILE === undefined ? undefined : resolve(settings.LAYERD_AUDIT_FILE),
    workers: settings.LAYERD_WORKERS,
    apiHeapBytes: optionalBytes('LAYERD_API_HEAP', settings.LAYERD_API_HEAP, MIN_HEAP_BYTES),
    workerHeapBytes: optionalBytes('LAYERD_WORKER_HEAP', settings.LAYERD_WORKER_HEAP, MIN_HEAP_BYTES),
    jobsPerWorker: settings.LAYERD_JOBS_PER_WORKER,
    registryJobs: settings.LAYERD_REGISTRY_JOBS,
    maxHosts: settings.LAYERD_MAX_HOSTS,
    maxJobs: settings.LAYERD_MAX_JOBS,
    catalogLimits: { requestsPerSecond: settings.LAYERD_CATALOG_REQUESTS, tags: settings.LAYERD_CATALOG_TAGS },
    uploadsPerPrincipal: settings.LAYERD_UPLOADS_PER_PRINCIPAL,
    zstdWindowBytes: windowBytes(settings.LAYERD_ZSTD_WINDOW),
    plainHttpRegistries: plainHttp,
    outbound: Object.freeze(outboundOf(settings, plainHttp)),
    zarf: settings.LAYERD_ZARF,
    logLevel: settings.LAYERD_LOG_LEVEL,
    logFormat: settings.LAYERD_LOG_FORMAT,
    /** For the command line. */
    url: optionalUrl('LAYERD_URL', settings.LAYERD_URL, ['http:', 'https:']) ?? '',
    token: headerText('LAYERD_TOKEN', settings.LAYERD_TOKEN),
  }
}

/** Source: XDG Base Directory Specification, where a relative path is to be ignored. */
function dataHome(env: Env): string {
  const home = env['XDG_DATA_HOME']
  return home && isAbsolute(home) ? home : join(env['HOME'] || homedir(), '.local', 'share')
}

function parseRoots(text: string): string[] {
  return list(text, ':').map((root) => {
    if (!isAbsolute(root)) throw invalid('LAYERD_FILE_ROOTS', root, 'each folder must be an absolute path')
    return resolve(root)
  })
}

function registries(name: Name, text: string, below = false): readonly string[] {
  const entries = list(text, ',').map((entry) => {
    const registry = registryEntry(entry, below)
    if (registry !== undefined) return registry
    throw invalid(name, entry, 'each entry must be host or host:port, without a scheme')
  })
  return Object.freeze(entries)
}

function outboundOf(settings: Environment, plainHttp: readonly string[]): OutboundSettings {
  const { LAYERD_ALLOWED_REGISTRIES: allowed, LAYERD_ALLOW_PRIVATE: allow, LAYERD_DENY_PRIVATE: deny } = settings
  const all = allow === undefined ? undefined : parseSwitch(allow)
  const none = deny === undefined ? false : checked('LAYERD_DENY_PRIVATE', deny, parseSwitch, 'true or false')
  if (all && none) throw invalid('LAYERD_DENY_PRIVATE', deny, 'LAYERD_ALLOW_PRIVATE says the opposite: set one of them')
  const listed = allow === undefined || all !== undefined ? [] : registries('LAYERD_ALLOW_PRIVATE', allow)
  return {
    allowed: allowed === undefined ? undefined : registries('LAYERD_ALLOWED_REGISTRIES', allowed, true),
    named: Object.freeze([...plainHttp, ...listed]),
    callersChoose: none ? false : all,
  }
}

function list(text: string, separator: string): string[] {
  return text
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function checked<T>(name: Name, text: string, parse: (text: string) => T | undefined, expected: string): T {
  const value = parse(text)
  if (value === undefined) throw invalid(name, text, `must be ${expected}`)
  return value
}

function optionalUrl(name: Name, text: string | undefined, protocols: readonly string[]): string | undefined {
  if (text === undefined) return undefined
  const expected = `must be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`
  const begins = protocols.some((protocol) => text.toLowerCase().startsWith(`${protocol}//`))
  if (!begins || !URL.canParse(text)) throw invalid(name, text, expected)
  if (unescapable(new URL(text))) throw invalid(name, text, 'a "%" in its user or password must be written %25')
  return text
}

function optionalSize(name: Name, text: string | undefined): number | undefined {
  return text === undefined ? undefined : checked(name, text, parseSize, 'a number of bytes, such as 10GB or 512MiB')
}

/** Zarf's own packages need 8 MiB; more than zstd has a number for is none. */
function windowBytes(text: string): number {
  const bytes = optionalSize('LAYERD_ZSTD_WINDOW', text) ?? 0
  if (bytes >= MIN_WINDOW_BYTES && bytes <= MAX_WINDOW_BYTES) return bytes
  throw invalid('LAYERD_ZSTD_WINDOW', text, 'must be 8MiB to 2GiB')
}

/** With less than `least` no process comes up. */
function optionalBytes(name: Name, text: string | undefined, least: number): number | undefined {
  const bytes = optionalSize(name, text)
  if (bytes === undefined || bytes >= least) return bytes
  throw invalid(name, text, `must be ${least / 1024 ** 2}MiB or more`)
}

function headerText(name: Name, text: string | undefined): string | undefined {
  if (text === undefined || isHeaderWord(text)) return text
  throw invalid(name, text, 'must be one line of visible ASCII characters, without spaces')
}

function shapeOf(name: Name): Shape {
  return Environment.properties[name]
}

function invalid(name: Name, value: unknown, expected: string): AppError {
  // A URL with a password, or a token, must not come back in a log line.
  const shown = SECRETS.has(name) ? '' : ` is "${String(value).slice(0, 200)}"`
  return new AppError('CONFIG_INVALID', `${name}${shown}: ${expected}`, { details: { setting: name } })
}

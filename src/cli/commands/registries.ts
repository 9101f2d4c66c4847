import { answer } from '../client/calls.ts'
import { type CommandContext, CommandFailure, UsageError } from '../client/context.ts'
import type { Registry } from '../client/contract.ts'
import { refusal } from '../client/problems.ts'
import { type ExitCode, screenColumns } from '../client/terminal.ts'
import { pingText } from '../view/ping-text.ts'
import { printRows, rowsOf } from './list.ts'
import { secretFrom, withoutScheme } from './registry-auth.ts'

export interface LoginOptions {
  username?: string
  passwordStdin?: boolean
  /** Of what comes on standard input. */
  kind: 'password' | 'identity-token' | 'registry-token'
  repository?: string[]
  plainHttp?: boolean
  /** Shown to the registry before they are kept. */
  check: boolean
}

interface Credentials {
  username?: string
  password?: string
  identityToken?: string
  registryToken?: string
}

/** `layerd login HOST`: keeps credentials in the daemon, once the registry has taken them. Throws ApiProblem. */
export async function login(context: CommandContext, place: string, options: LoginOptions): Promise<ExitCode> {
  const { client, terminal, json, quiet } = context
  const host = hostOf(place)
  const credentials = await credentialsFrom(context, options)
  if (options.check) await check(context, host, { credentials, options })
  const params = { path: { host } }
  const seen = await client.calls.GET('/v1/registries/{host}', { params })
  if (!seen.response.ok && seen.response.status !== 404) throw refusal(seen.response.status, seen.error)
  const etag = seen.response.headers.get('etag')
  const repositories = options.repository ?? seen.data?.repositories
  const kept = await answer(
    client.calls.PUT('/v1/registries/{host}', {
      params,
      headers: seen.data && etag !== null ? { 'if-match': etag } : { 'if-none-match': '*' },
      body: {
        credentials,
        plainHttp: options.plainHttp ?? seen.data?.plainHttp ?? false,
        ...(repositories ? { repositories } : {}),
      },
    }),
  )
  if (json) terminal.stdout.write(`${JSON.stringify(kept)}\n`)
  else terminal.stdout.write(quiet ? `${kept.host}\n` : `credentials of ${kept.host} are kept, ${scopeOf(kept)}\n`)
  return 0
}

/** Throws UsageError; of a screen's keyboard nothing is read, as what is typed would be seen. */
async function credentialsFrom({ terminal }: CommandContext, options: LoginOptions): Promise<Credentials> {
  const { username, passwordStdin, kind } = options
  if (kind === 'password' && username === undefined) throw new UsageError('a password needs --username')
  if (kind === 'registry-token' && username !== undefined) throw new UsageError('a registry token has no --username')
  if (passwordStdin !== true && terminal.stdin.isTTY === true) {
    throw new UsageError('the password comes on standard input: layerd login HOST -u NAME --password-stdin < FILE')
  }
  const secret = await secretFrom(terminal)
  if (secret === '') throw new UsageError('standard input is empty, and the password has to come from there')
  if (kind === 'registry-token') return { registryToken: secret }
  const user = username === undefined ? {} : { username }
  return kind === 'password' ? { ...user, password: secret } : { ...user, identityToken: secret }
}

/** Throws CommandFailure where the registry does not take them. */
async function check(
  { client, terminal }: CommandContext,
  host: string,
  { credentials, options }: { credentials: Credentials; options: LoginOptions },
): Promise<void> {
  const { username, password, identityToken: identitytoken, registryToken: registrytoken } = credentials
  const auth = JSON.stringify({ username, password, identitytoken, registrytoken, serveraddress: host })
  const found = await answer(
    client.calls.POST('/v1/registries/{host}/ping', {
      params: { path: { host } },
      headers: { 'x-registry-auth': Buffer.from(auth).toString('base64url') },
      body: options.plainHttp ? { plainHttp: true } : {},
    }),
  )
  if (found.ok) return
  const failed = { ...found, checks: found.checks.filter(({ state }) => state === 'failed') }
  terminal.stderr.write(pingText(failed, screenColumns(terminal.stderr)))
  throw new CommandFailure('nothing is kept; --no-check keeps credentials without showing them to the registry')
}

/** `layerd logout HOST`: forgets what is kept of a registry. Throws ApiProblem. */
export async function logout({ client, terminal, json, quiet }: CommandContext, place: string): Promise<ExitCode> {
  const host = hostOf(place)
  const headers = { 'if-match': '*' }
  await answer(client.calls.DELETE('/v1/registries/{host}', { params: { path: { host } }, headers }))
  if (json) terminal.stdout.write(`${JSON.stringify({ host })}\n`)
  else terminal.stdout.write(quiet ? `${host}\n` : `nothing is kept of ${host} any more\n`)
  return 0
}

/** `layerd registries`: what is kept, without a secret. Throws ApiProblem. */
export async function registries(context: CommandContext): Promise<ExitCode> {
  const { calls } = context.client
  const rows = await Array.fromAsync(rowsOf((query) => answer(calls.GET('/v1/registries', { params: { query } }))))
  return printRows(context, rows, {
    heads: ['REGISTRY', 'CREDENTIALS', 'USER', 'REPOSITORIES', 'OVER'],
    cells: ({ host, credentials, repositories, plainHttp }) => [
      host,
      credentials?.kind ?? 'none',
      credentials?.username ?? '',
      repositories?.join(' ') ?? 'all',
      plainHttp ? 'http' : 'https',
    ],
  })
}

function scopeOf({ repositories }: Registry): string {
  return repositories === null ? 'for all of its repositories' : `for ${repositories.join(', ')}`
}

function hostOf(place: string): string {
  return withoutScheme(place).replace(/\/$/, '')
}

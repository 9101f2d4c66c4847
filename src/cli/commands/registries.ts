import { answer } from '../client/calls.ts'
import { type CommandContext, CommandFailure } from '../client/context.ts'
import type { KeptCredentials, Registry } from '../client/contract.ts'
import { refusal } from '../client/problems.ts'
import { type ExitCode, screenColumns } from '../client/terminal.ts'
import { pingText } from '../view/ping-text.ts'
import { printRows, rowsOf } from './list.ts'
import { type CredentialOptions, credentialsFrom } from './login-credentials.ts'
import { withoutScheme } from './registry-auth.ts'

export interface LoginOptions extends CredentialOptions {
  repository?: string[]
  plainHttp?: boolean
  /** Shown to the registry, before they are kept where they can be shown so. */
  check: boolean
}

/**
 * `layerd login HOST`: keeps credentials in the daemon, once the registry has taken them; a cloud's key is looked at once it is
 * kept. Throws ApiProblem.
 */
export async function login(context: CommandContext, place: string, options: LoginOptions): Promise<ExitCode> {
  const { terminal, json, quiet } = context
  const host = hostOf(place)
  const credentials = await credentialsFrom(context, options)
  const ofCloud = 'aws' in credentials || 'google' in credentials || 'azure' in credentials
  if (options.check && !ofCloud) await check(context, host, { shown: authOf(credentials, host), options })
  const kept = await keep(context, host, { credentials, options })
  if (json) terminal.stdout.write(`${JSON.stringify(kept)}\n`)
  else terminal.stdout.write(quiet ? `${kept.host}\n` : `credentials of ${kept.host} are kept, ${scopeOf(kept)}\n`)
  if (options.check && ofCloud) await check(context, host, { shown: undefined, options })
  return 0
}

/** What is not said of an earlier one stays. */
async function keep(
  { client }: CommandContext,
  host: string,
  { credentials, options }: { credentials: KeptCredentials; options: LoginOptions },
): Promise<Registry> {
  const params = { path: { host } }
  const seen = await client.calls.GET('/v1/registries/{host}', { params })
  if (!seen.response.ok && seen.response.status !== 404) throw refusal(seen.response.status, seen.error)
  const etag = seen.response.headers.get('etag')
  const repositories = options.repository ?? seen.data?.repositories
  return await answer(
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
}

/** X-Registry-Auth. */
function authOf(credentials: KeptCredentials, host: string): string {
  const { username, password, identityToken: identitytoken, registryToken: registrytoken } = credentials
  const auth = JSON.stringify({ username, password, identitytoken, registrytoken, serveraddress: host })
  return Buffer.from(auth).toString('base64url')
}

/** `shown`: undefined for those that are kept. Throws CommandFailure where the registry does not take them. */
async function check(
  { client, terminal }: CommandContext,
  host: string,
  { shown, options }: { shown: string | undefined; options: LoginOptions },
): Promise<void> {
  const found = await answer(
    client.calls.POST('/v1/registries/{host}/ping', {
      params: { path: { host } },
      headers: shown === undefined ? {} : { 'x-registry-auth': shown },
      body: options.plainHttp ? { plainHttp: true } : {},
    }),
  )
  if (found.ok) return
  const failed = { ...found, checks: found.checks.filter(({ state }) => state === 'failed') }
  terminal.stderr.write(pingText(failed, screenColumns(terminal.stderr)))
  throw new CommandFailure(
    shown === undefined
      ? 'they are kept all the same: layerd login again, or layerd logout'
      : 'nothing is kept; --no-check keeps credentials without showing them to the registry',
  )
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
    heads: ['REGISTRY', 'CREDENTIALS', 'USER', 'REPOSITORIES', 'OVER', 'PROFILE'],
    cells: ({ host, credentials, repositories, plainHttp, profile }) => [
      host,
      credentials?.kind ?? 'none',
      credentials?.username ?? '',
      repositories?.join(' ') ?? 'all',
      plainHttp ? 'http' : 'https',
      profile.by === null ? 'unknown' : `${profile.name} (${profile.by})`,
    ],
  })
}

function scopeOf({ repositories }: Registry): string {
  return repositories === null ? 'for all of its repositories' : `for ${repositories.join(', ')}`
}

function hostOf(place: string): string {
  return withoutScheme(place).replace(/\/$/, '')
}

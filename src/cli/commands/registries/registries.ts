import { answer } from '../../client/calls.ts'
import { type CommandContext, CommandFailure } from '../../client/context.ts'
import type { KeptCredentials, Registry } from '../../client/contract.ts'
import { refusal } from '../../client/problems.ts'
import { type ExitCode, screenColumns } from '../../client/terminal.ts'
import { pingText } from '../../view/ping-text.ts'
import { printRows, rowsOf } from '../list.ts'
import { type CredentialOptions, credentialsFrom } from './login-credentials.ts'
import { type GivenWay, keptWay, wayFrom, type WayOptions, wayText } from './registry-way.ts'
import { idOf, withoutScheme } from '../registry-auth.ts'

export interface LoginOptions extends CredentialOptions, WayOptions {
  repository?: string[]
  plainHttp?: boolean
  /** Shown to the registry, before they are kept where they can be shown so. */
  check: boolean
}

/**
 * `layerd login HOST[/PATH]`: keeps credentials in the daemon, once the registry has taken them; a cloud's key is looked at once
 * it is kept. Throws ApiProblem.
 */
export async function login(context: CommandContext, place: string, options: LoginOptions): Promise<ExitCode> {
  const { terminal, json, quiet } = context
  const named = placeOf(place)
  const [host = ''] = named.split('/')
  const given = await wayFrom(options)
  const credentials = await credentialsFrom(context, options)
  const ofCloud = 'aws' in credentials || 'google' in credentials || 'azure' in credentials
  if (options.check && !ofCloud) {
    await check(context, host, { shown: authOf(credentials, host), options, given })
  }
  const kept = await keep(context, named, { credentials, options, given })
  const name = nameOf(kept)
  if (json) terminal.stdout.write(`${JSON.stringify(kept)}\n`)
  else terminal.stdout.write(quiet ? `${name}\n` : `credentials of ${name} are kept, ${scopeOf(kept)}\n`)
  if (options.check && ofCloud) await check(context, host, { shown: undefined, options, given: {} })
  return 0
}

/** What is not said of an earlier one stays. */
async function keep(
  { client }: CommandContext,
  named: string,
  { credentials, options, given }: { credentials: KeptCredentials; options: LoginOptions; given: GivenWay },
): Promise<Registry> {
  const params = { path: { host: idOf(named) } }
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
        ...wayOf(named, options, seen.data),
        ...(repositories ? { repositories } : {}),
        ...(named.includes('/') ? {} : { ...keptWay(seen.data), limits: seen.data?.limits ?? null }),
        ...given,
        ...(options.mirror === undefined ? {} : { mirror: options.mirror }),
      },
    }),
  )
}

/** A path goes the way of its registry: to say so to the daemon gets its refusal, which tells what to do. */
function wayOf(named: string, { plainHttp }: LoginOptions, seen: Registry | undefined): { plainHttp?: boolean } {
  if (named.includes('/')) return plainHttp === undefined ? {} : { plainHttp }
  return { plainHttp: plainHttp ?? seen?.plainHttp ?? false }
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
  { shown, options, given }: { shown: string | undefined; options: LoginOptions; given: GivenWay },
): Promise<void> {
  const found = await answer(
    client.calls.POST('/v1/registries/{host}/ping', {
      params: { path: { host: idOf(host) } },
      headers: shown === undefined ? {} : { 'x-registry-auth': shown },
      body: { ...(options.plainHttp ? { plainHttp: true } : {}), ...given },
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

/** `layerd logout HOST[/PATH]`: forgets what is kept of a registry. Throws ApiProblem. */
export async function logout({ client, terminal, json, quiet }: CommandContext, place: string): Promise<ExitCode> {
  const named = placeOf(place)
  const params = { path: { host: idOf(named) } }
  const headers = { 'if-match': '*' }
  await answer(client.calls.DELETE('/v1/registries/{host}', { params, headers }))
  if (json) terminal.stdout.write(`${JSON.stringify({ host: named })}\n`)
  else terminal.stdout.write(quiet ? `${named}\n` : `nothing is kept of ${named} any more\n`)
  return 0
}

/** `layerd registries`: what is kept, without a secret. Throws ApiProblem. */
export async function registries(context: CommandContext): Promise<ExitCode> {
  const { calls } = context.client
  const rows = await Array.fromAsync(rowsOf((query) => answer(calls.GET('/v1/registries', { params: { query } }))))
  return printRows(context, rows, {
    heads: ['REGISTRY', 'CREDENTIALS', 'USER', 'REPOSITORIES', 'OVER', 'WAY', 'LIMITS', 'PROFILE'],
    cells: (registry) => [
      nameOf(registry),
      registry.credentials?.kind ?? 'none',
      registry.credentials?.username ?? '',
      registry.repositories?.join(' ') ?? 'all',
      registry.plainHttp ? 'http' : 'https',
      wayText(registry),
      limitsText(registry.limits),
      profileText(registry),
    ],
  })
}

function profileText({ profile: { name, by } }: Registry): string {
  return by === null ? 'unknown' : `${name} (${by})`
}

function limitsText(limits: Registry['limits']): string {
  if (limits === null) return 'none'
  const { jobs, concurrency, requestsPerSecond, bytesPerSecond } = limits
  const texts = [
    jobs === null ? [] : [`${jobs} jobs`],
    concurrency === null ? [] : [`${concurrency} at once`],
    requestsPerSecond === null ? [] : [`${requestsPerSecond} req/s`],
    bytesPerSecond === null ? [] : [`${bytesPerSecond} B/s`],
  ]
  return texts.flat().join(', ')
}

function scopeOf({ repositories }: Registry): string {
  return repositories === null ? 'for all of its repositories' : `for ${repositories.join(', ')}`
}

function nameOf({ host, path }: Registry): string {
  return path === null ? host : `${host}/${path}`
}

function placeOf(place: string): string {
  return withoutScheme(place).replace(/\/$/, '')
}

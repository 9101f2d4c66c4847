import { listedNames } from '../../../lib/text.ts'
import { answer } from '../../client/calls.ts'
import { type CommandContext, type OutputOptions, UsageError } from '../../client/context.ts'
import { durationMs } from '../../client/duration.ts'
import type { IssuedToken, Token, TokenBody } from '../../client/contract.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { printRows, rowsOf } from '../list.ts'

export interface AddTokenOptions extends OutputOptions {
  scopes: string
  registries?: string
  repositories?: string
  kinds?: string
  expires?: string
  description?: string
}

type Kinds = NonNullable<NonNullable<TokenBody['limits']>['kinds']>

/** What a table of 80 columns has room for; --json has all of it. */
const [NAME_COLUMNS, SCOPES_COLUMNS] = [16, 20]

/** `layerd tokens`. Throws ApiProblem. */
export async function tokens(context: CommandContext): Promise<ExitCode> {
  const { calls } = context.client
  const rows = await Array.fromAsync(rowsOf((query) => answer(calls.GET('/v1/tokens', { params: { query } }))))
  return printRows(context, rows, {
    heads: ['TOKEN', 'NAME', 'SCOPES', 'EXPIRES', 'USED'],
    cells: (token) => [
      token.id,
      cut(token.name, NAME_COLUMNS),
      scopesOf(token),
      token.expiresAt?.slice(0, 10) ?? 'never',
      token.lastUsedAt?.slice(0, 10) ?? 'never',
    ],
  })
}

/** `layerd tokens add NAME`. Throws UsageError, ApiProblem. */
export async function addToken(context: CommandContext, name: string, options: AddTokenOptions): Promise<ExitCode> {
  const { client, terminal, json, quiet } = context
  const issued = await answer(client.calls.POST('/v1/tokens', { body: bodyOf(name, options) }))
  if (json) {
    terminal.stdout.write(`${JSON.stringify(issued)}\n`)
    return 0
  }
  if (!quiet) terminal.stderr.write(issuedText(issued))
  terminal.stdout.write(`${issued.token}\n`)
  return 0
}

/** `layerd tokens rm ID`. Throws ApiProblem. */
export async function removeToken({ client, terminal, json, quiet }: CommandContext, id: string): Promise<ExitCode> {
  await answer(client.calls.DELETE('/v1/tokens/{id}', { params: { path: { id } } }))
  if (json) terminal.stdout.write(`${JSON.stringify({ id })}\n`)
  else terminal.stdout.write(quiet ? `${id}\n` : `the token ${id} is taken away\n`)
  return 0
}

/** Scopes and kinds go as they were given: the daemon knows which there are. */
function bodyOf(name: string, options: AddTokenOptions): TokenBody {
  const { scopes, registries, repositories, kinds, expires, description } = options
  const limits = {
    ...(registries === undefined ? {} : { registries: listedNames(registries) }),
    ...(repositories === undefined ? {} : { repositories: listedNames(repositories) }),
    ...(kinds === undefined ? {} : { kinds: listedNames(kinds) as Kinds }),
  }
  return {
    name,
    scopes: listedNames(scopes) as TokenBody['scopes'],
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(expires === undefined ? {} : endOf(expires)),
    ...(description === undefined ? {} : { description }),
  }
}

function endOf(text: string): Pick<TokenBody, 'expiresInSeconds' | 'expiresAt'> {
  const ms = durationMs(text)
  if (ms !== undefined) return { expiresInSeconds: ms / 1000 }
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(time)) return { expiresAt: new Date(time).toISOString() }
  throw new UsageError(`--expires takes 30d, 12h, 90m or a date such as 2030-01-31, and not "${text.slice(0, 50)}"`)
}

function issuedText({ id, name, expiresAt }: IssuedToken): string {
  const end = expiresAt === null ? 'does not expire' : `expires ${expiresAt}`
  return `the token ${id} of ${name} is issued, and ${end}.\nIt is shown this once; layerd tokens rm ${id} takes it away.\n`
}

function scopesOf({ scopes, limits }: Token): string {
  const suffix = Object.keys(limits).length > 0 ? ' limited' : ''
  return cut(scopes.join(','), SCOPES_COLUMNS - suffix.length) + suffix
}

function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`
}

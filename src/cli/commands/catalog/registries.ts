import { answer } from '../../client/calls.ts'
import type { CommandContext, OutputOptions } from '../../client/context.ts'
import type { CatalogRegistry, Contract } from '../../client/contract.ts'
import { refusal } from '../../client/problems.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { formatAge } from '../../view/format.ts'
import { printRows, rowsOf } from '../list.ts'
import { idOf, withoutScheme } from '../registry-auth.ts'

type Body = Contract['/v1/catalog/registries/{host}']['put']['requestBody']['content']['application/json']

export interface AddRegistryOptions extends OutputOptions, Pick<Body, 'source'> {
  repository?: string[]
  every?: number
}

/** `layerd catalog`: the registries of the catalogue. Throws ApiProblem. */
export async function catalog(context: CommandContext): Promise<ExitCode> {
  const { terminal, json, client } = context
  const rows = await Array.fromAsync(
    rowsOf((query) => answer(client.calls.GET('/v1/catalog/registries', { params: { query } }))),
  )
  printRows(context, rows, {
    heads: ['REGISTRY', 'STATE', 'REPOSITORIES', 'TAGS', 'WAITING', 'PROBLEMS', 'REFRESHED', 'SOURCE', 'OF'],
    cells: (row) => [
      row.host,
      row.truncated ? `${row.state}, a part` : row.state,
      `${row.repositoryCount}`,
      `${row.tagCount}`,
      `${row.waiting}`,
      `${row.problemCount}`,
      row.refreshedAt === null ? 'never' : `${formatAge(Date.now() - Date.parse(row.refreshedAt))} ago`,
      row.source,
      row.repositories?.join(' ') ?? 'all',
    ],
  })
  if (json) return 0
  for (const { host, error, problems } of rows) {
    if (error) terminal.stderr.write(`(${host}: ${error.detail}${error.hint === null ? '' : `. ${error.hint}`})\n`)
    for (const { repository, tag, detail } of problems.slice(0, 3)) {
      terminal.stderr.write(`(${repository}${tag === null ? '' : `:${tag}`}: ${detail})\n`)
    }
  }
  return 0
}

/** `layerd catalog add HOST`: in place of what was said of it before. Throws ApiProblem. */
export async function addRegistry(
  context: CommandContext,
  place: string,
  { repository, source, every }: AddRegistryOptions,
): Promise<ExitCode> {
  const { calls } = context.client
  const params = { path: { host: idOf(hostOf(place)) } }
  const seen = await calls.GET('/v1/catalog/registries/{host}', { params })
  if (!seen.response.ok && seen.response.status !== 404) throw refusal(seen.response.status, seen.error)
  const etag = seen.response.headers.get('etag')
  const added = await answer(
    calls.PUT('/v1/catalog/registries/{host}', {
      params,
      headers: seen.data && etag !== null ? { 'if-match': etag } : { 'if-none-match': '*' },
      body: {
        ...(source === undefined ? {} : { source }),
        ...(repository === undefined ? {} : { repositories: repository }),
        ...(every === undefined ? {} : { refreshSeconds: every }),
      },
    }),
  )
  return told(context, added, 'is in the catalogue, and looked at from now on: layerd catalog tells how far it is')
}

/** `layerd catalog remove HOST`. Throws ApiProblem. */
export async function removeRegistry(context: CommandContext, place: string): Promise<ExitCode> {
  const { terminal, json, quiet, client } = context
  const host = hostOf(place)
  const params = { path: { host: idOf(host) } }
  await answer(client.calls.DELETE('/v1/catalog/registries/{host}', { params, headers: { 'if-match': '*' } }))
  if (json) terminal.stdout.write(`${JSON.stringify({ host })}\n`)
  else terminal.stdout.write(quiet ? `${host}\n` : `${host} is no more in the catalogue\n`)
  return 0
}

/** `layerd catalog refresh HOST[/REPOSITORY]`. Throws ApiProblem. */
export async function refresh(context: CommandContext, place: string): Promise<ExitCode> {
  const [host = '', ...path] = withoutScheme(place).split('/')
  const repository = path.join('/')
  const found = await answer(
    context.client.calls.POST('/v1/catalog/registries/{host}/refresh', {
      params: { path: { host: idOf(host) } },
      body: repository === '' ? {} : { repository },
    }),
  )
  return told(context, found, repository === '' ? 'is looked at again' : `is asked for ${repository} again`)
}

function told({ terminal, json, quiet }: CommandContext, registry: CatalogRegistry, what: string): ExitCode {
  if (json) terminal.stdout.write(`${JSON.stringify(registry)}\n`)
  else terminal.stdout.write(quiet ? `${registry.host}\n` : `${registry.host} ${what}\n`)
  return 0
}

function hostOf(place: string): string {
  return withoutScheme(place).replace(/\/$/, '')
}

import { answer } from '../../client/calls.ts'
import type { CommandContext, OutputOptions } from '../../client/context.ts'
import type { CatalogPackage, Contract } from '../../client/contract.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { formatBytes } from '../../view/format.ts'
import { printRows, rowsOf } from '../list.ts'

type Query = NonNullable<Contract['/v1/catalog']['get']['parameters']['query']>

interface FilterOptions
  extends OutputOptions,
    Pick<Query, 'name' | 'kind' | 'architecture' | 'flavor' | 'newerThan' | 'prereleases'> {
  limit: number
}

export interface SearchOptions extends FilterOptions, Pick<Query, 'registry'> {}
export type VersionsOptions = FilterOptions

/** `layerd search WORDS`: packages of the catalogue. Throws ApiProblem. */
export async function search(
  context: CommandContext,
  words: readonly string[],
  options: SearchOptions,
): Promise<ExitCode> {
  const { terminal, json, quiet, client } = context
  const { registry } = options
  const filter: Query = {
    ...filterOf(options),
    ...(words.length === 0 ? {} : { q: words.join(' ') }),
    ...(registry === undefined ? {} : { registry }),
  }
  const notes = new Set<string>()
  const page = async (query: Query) => {
    const got = await answer(client.calls.GET('/v1/catalog', { params: { query: { ...filter, ...query } } }))
    if (got.registries.length === 0) notes.add('no registry is in the catalogue: layerd catalog add HOST')
    for (const { host, state, error } of got.registries) {
      if (error) notes.add(`${host}: ${error.detail}${error.hint === null ? '' : `. ${error.hint}`}`)
      else if (state === 'waiting' || state === 'refreshing') notes.add(`${host} is still looked at`)
    }
    return got
  }
  const { rows, more } = await firstOf(rowsOf(page), options.limit)
  if (quiet && !json) for (const { reference } of rows) terminal.stdout.write(`${reference}\n`)
  else if (rows.length > 0 || json) printPackages(context, rows, options.newerThan !== undefined)
  if (json) return 0
  if (rows.length === 0) notes.add('nothing found')
  if (more) notes.add(`the first ${options.limit}; --limit shows more`)
  for (const note of notes) terminal.stderr.write(`(${note})\n`)
  return 0
}

function printPackages(context: CommandContext, rows: readonly CatalogPackage[], newer: boolean): void {
  printRows(context, rows, {
    heads: ['NAME', 'KIND', newer ? 'NEWER' : 'VERSION', 'VERSIONS', 'ARCH', 'FLAVORS', 'SIZE', 'SIGNED', 'REFERENCE'],
    cells: (row) => [
      row.name,
      row.kind,
      newer ? row.versions.slice(0, 5).join(' ') : (row.version ?? row.tag),
      `${row.versionCount}`,
      row.architectures.join(' '),
      row.flavors.join(' '),
      row.size === null ? '' : formatBytes(row.size),
      signedText(row.signed),
      row.reference,
    ],
  })
}

/** `layerd catalog versions REFERENCE`. Throws ApiProblem. */
export async function versions(
  context: CommandContext,
  reference: string,
  options: VersionsOptions,
): Promise<ExitCode> {
  const { terminal, json, quiet, client } = context
  const filter = { ...filterOf(options), ref: reference }
  const { rows, more } = await firstOf(
    rowsOf((query) => answer(client.calls.GET('/v1/catalog/versions', { params: { query: { ...filter, ...query } } }))),
    options.limit,
  )
  if (quiet && !json) {
    for (const row of rows) terminal.stdout.write(`${row.reference}\n`)
    return 0
  }
  printRows(context, rows, {
    heads: ['VERSION', 'TAG', 'KIND', 'ARCH', 'FLAVOR', 'SIZE', 'SIGNED', 'CREATED', 'DIGEST'],
    cells: (row) => [
      row.version ?? '',
      row.tag,
      row.kind,
      row.architectures.map(({ architecture }) => architecture).join(' '),
      row.flavor ?? '',
      row.architectures.map(({ size }) => (size === null ? '?' : formatBytes(size))).join(', '),
      signedText(row.signed),
      row.created?.slice(0, 10) ?? '',
      row.digest,
    ],
  })
  if (more && !json) terminal.stderr.write(`(the first ${options.limit}; --limit shows more)\n`)
  return 0
}

function filterOf({ name, kind, architecture, flavor, newerThan, prereleases }: FilterOptions): Query {
  const all = { name, kind, architecture, flavor, newerThan, prereleases }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

async function firstOf<T>(all: AsyncIterable<T>, limit: number): Promise<{ rows: readonly T[]; more: boolean }> {
  const rows: T[] = []
  for await (const row of all) {
    if (rows.length === limit) return { rows, more: true }
    rows.push(row)
  }
  return { rows, more: false }
}

function signedText(signed: boolean | null): string {
  if (signed === null) return '?'
  return signed ? 'yes' : 'no'
}

import { join } from 'node:path'
import { answer } from '../../client/calls.ts'
import type { CommandContext, OutputOptions } from '../../client/context.ts'
import type { Contract, LocalFile } from '../../client/contract.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { formatAge, formatBytes } from '../../view/format.ts'
import { printRows, rowsOf } from '../list.ts'

type Query = NonNullable<Contract['/v1/files']['get']['parameters']['query']>

export interface FilesOptions extends OutputOptions, Pick<Query, 'root' | 'kind'> {
  limit: number
  search?: string
}

/** `layerd files`: what lies in the daemon's file roots, for jobs. Throws ApiProblem. */
export async function files(context: CommandContext, options: FilesOptions): Promise<ExitCode> {
  const { terminal, json, quiet } = context
  const { found, more, roots, skipped } = await ask(context, options)
  if (quiet && !json) for (const file of found) terminal.stdout.write(`${pathOf(file)}\n`)
  else if (found.length > 0 || json) print(context, found)
  if (json || quiet) return 0
  const notes = [...skipped].map(([path, reason]) => `not looked into: ${path}: ${reason}`)
  if (found.length === 0) notes.unshift(`no packages in ${roots.join(', ')}`)
  if (more) notes.push(`the first ${options.limit}; --limit shows more`)
  for (const note of notes) terminal.stderr.write(`(${note})\n`)
  return 0
}

interface Found {
  readonly found: readonly LocalFile[]
  /** There are others behind them. */
  readonly more: boolean
  readonly roots: readonly string[]
  /** Paths, and why. */
  readonly skipped: ReadonlyMap<string, string>
}

async function ask({ client }: CommandContext, { limit, root, kind, search }: FilesOptions): Promise<Found> {
  const filter: Query = {
    ...(root === undefined ? {} : { root }),
    ...(kind === undefined ? {} : { kind }),
    ...(search === undefined ? {} : { q: search }),
  }
  const found: LocalFile[] = []
  const skipped = new Map<string, string>()
  let roots: readonly string[] = []
  const page = async (query: Query) => {
    const got = await answer(client.calls.GET('/v1/files', { params: { query: { ...filter, ...query } } }))
    for (const { path, reason } of got.skipped) skipped.set(path, reason)
    roots = got.roots
    return got
  }
  for await (const file of rowsOf(page)) {
    if (found.length === limit) return { found, more: true, roots, skipped }
    found.push(file)
  }
  return { found, more: false, roots, skipped }
}

function print(context: CommandContext, found: readonly LocalFile[]): void {
  const now = Date.now()
  printRows(context, found, {
    heads: ['KIND', 'SIZE', 'CHANGED', 'PATH'],
    cells: (file) => [
      file.kind,
      file.size === null ? '' : formatBytes(file.size),
      formatAge(now - Date.parse(file.modifiedAt)),
      // Last and whole, so that it can be copied.
      pathOf(file),
    ],
  })
}

function pathOf({ root, path }: LocalFile): string {
  return join(root, path)
}

import type { CommandContext } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { formatTable } from '../view/format.ts'

export interface ListPage<T> {
  items: T[]
  nextPageToken?: string
}

/** All pages of a list that is short by its nature. */
export async function allOf<T>({ client }: Pick<CommandContext, 'client'>, path: string): Promise<T[]> {
  const rows: T[] = []
  let token: string | undefined
  do {
    const page: ListPage<T> = await client.json(
      'GET',
      token === undefined ? path : `${path}&pageToken=${encodeURIComponent(token)}`,
    )
    rows.push(...page.items)
    token = page.nextPageToken
  } while (token !== undefined)
  return rows
}

/** A table, without its heads when quiet; with --json a line for each row. */
export function printRows<T>(
  { terminal, json, quiet }: CommandContext,
  rows: readonly T[],
  table: { heads: readonly string[]; cells: (row: T) => readonly string[] },
): ExitCode {
  if (json) for (const row of rows) terminal.stdout.write(`${JSON.stringify(row)}\n`)
  else terminal.stdout.write(formatTable([...(quiet ? [] : [table.heads]), ...rows.map(table.cells)]))
  return 0
}

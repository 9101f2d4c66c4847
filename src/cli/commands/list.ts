import type { CommandContext } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { formatTable } from '../view/format.ts'

export interface ListPage<T> {
  items: readonly T[]
  nextPageToken?: string
}

/** What asks for a page: as many rows as one can have, from where the page before ended. */
export interface PageQuery {
  pageSize: number
  pageToken?: string
}

/** All rows of a list, in its order; those who have enough leave the loop. */
export async function* rowsOf<T>(page: (query: PageQuery) => Promise<ListPage<T>>): AsyncGenerator<T> {
  let pageToken: string | undefined
  do {
    const { items, nextPageToken } = await page({ pageSize: 200, ...(pageToken === undefined ? {} : { pageToken }) })
    yield* items
    pageToken = nextPageToken
  } while (pageToken !== undefined)
}

/** A table, without its heads when quiet; with --json a line for each row. */
export function printRows<T>(
  { terminal, json, quiet }: CommandContext,
  rows: readonly T[],
  table: {
    heads: readonly string[]
    cells: (row: T) => readonly string[]
    /** Default: columns as wide as their widest cell. */
    format?: (cells: ReadonlyArray<readonly string[]>) => string
  },
): ExitCode {
  if (json) for (const row of rows) terminal.stdout.write(`${JSON.stringify(row)}\n`)
  else {
    const { heads, cells, format = formatTable } = table
    terminal.stdout.write(format([...(quiet ? [] : [heads]), ...rows.map(cells)]))
  }
  return 0
}

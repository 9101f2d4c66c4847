import { answer } from '../../client/calls.ts'
import type { CommandContext, OutputOptions } from '../../client/context.ts'
import type { AuditEntry, Contract } from '../../client/contract.ts'
import { type ExitCode, screenColumns } from '../../client/terminal.ts'
import { auditTable } from '../../view/audit-table.ts'
import { sinceTime } from '../jobs.ts'
import { printRows, rowsOf } from '../list.ts'

type Query = NonNullable<Contract['/v1/audit']['get']['parameters']['query']>

export interface AuditOptions extends OutputOptions, Pick<Query, 'principal' | 'action' | 'outcome'> {
  limit: number
  since?: string
  until?: string
}

/** `layerd audit`: who asked for what, newest first. Throws UsageError, ApiProblem. */
export async function audit(context: CommandContext, { limit, ...options }: AuditOptions): Promise<ExitCode> {
  const { client, terminal, json, quiet } = context
  const filter = filterOf(options, Date.now())
  const entries: AuditEntry[] = []
  let more = false
  for await (const entry of rowsOf((page) =>
    answer(client.calls.GET('/v1/audit', { params: { query: { ...filter, ...page } } })),
  )) {
    more = entries.length === limit
    if (more) break
    entries.push(entry)
  }
  const columns = screenColumns(terminal.stdout)
  if (json) printRows(context, entries, { heads: [], cells: () => [] })
  else terminal.stdout.write(auditTable(entries, { heads: !quiet, columns }))
  if (more && !json && !quiet) terminal.stderr.write(`(the newest ${limit}; --limit shows more)\n`)
  return 0
}

function filterOf(options: Omit<AuditOptions, 'limit'>, now: number): Query {
  const { principal, action, outcome, since, until } = options
  return {
    ...(principal === undefined ? {} : { principal }),
    ...(action === undefined ? {} : { action }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(since === undefined ? {} : { since: sinceTime(since, now) }),
    ...(until === undefined ? {} : { until: sinceTime(until, now, '--until') }),
  }
}

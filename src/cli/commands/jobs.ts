import { answer } from '../client/calls.ts'
import type { Contract } from '../client/contract.ts'
import { type CommandContext, UsageError } from '../client/context.ts'
import { durationMs } from '../client/duration.ts'
import { type ExitCode, screenColumns } from '../client/terminal.ts'
import { jobsTable } from '../view/job-table.ts'

type Query = NonNullable<Contract['/v1/jobs']['get']['parameters']['query']>

export interface JobsOptions extends Pick<Query, 'state' | 'kind'> {
  limit: number
  registry?: string
  label?: string[]
  since?: string
  package?: string
  search?: string
}

/** `layerd jobs`: one page of jobs, newest first. */
export async function jobs({ client, terminal, json, quiet }: CommandContext, options: JobsOptions): Promise<ExitCode> {
  const page = await answer(client.calls.GET('/v1/jobs', { params: { query: queryOf(options, Date.now()) } }))
  const { items, nextPageToken } = page
  if (json) for (const job of items) terminal.stdout.write(`${JSON.stringify(job)}\n`)
  else if (quiet) for (const job of items) terminal.stdout.write(`${job.id}\n`)
  else terminal.stdout.write(jobsTable(items, { now: Date.now(), columns: screenColumns(terminal.stdout) }))
  if (nextPageToken !== undefined && !json && !quiet) {
    terminal.stderr.write(`(the newest ${items.length}; --limit shows up to 200)\n`)
  }
  return 0
}

function queryOf(options: JobsOptions, now: number): Query {
  const { limit, state, kind, registry, label, since, search } = options
  return {
    pageSize: limit,
    ...(state === undefined ? {} : { state }),
    ...(kind === undefined ? {} : { kind }),
    ...(label === undefined ? {} : { label }),
    ...(registry === undefined ? {} : { registry }),
    ...(since === undefined ? {} : { createdAfter: sinceTime(since, now) }),
    ...(options.package === undefined ? {} : { package: options.package }),
    ...(search === undefined ? {} : { q: search }),
  }
}

/** A time, or how long ago: 30m, 2h, 7d. Throws UsageError. */
export function sinceTime(text: string, now: number, option = '--since'): string {
  const ago = durationMs(text)
  const at = ago === undefined ? Date.parse(text) : now - ago
  if (Number.isFinite(at)) return new Date(at).toISOString()
  throw new UsageError(
    `${option} takes a time or how long ago, such as 30m, 2h, 7d or 2026-03-01T12:00:00Z, not "${text}"`,
  )
}

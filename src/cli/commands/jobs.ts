import { answer } from '../client/calls.ts'
import type { Contract } from '../client/contract.ts'
import { type CommandContext, UsageError } from '../client/context.ts'
import { durationMs } from '../client/duration.ts'
import { type ExitCode, screenColumns, showsBars } from '../client/terminal.ts'
import { type FleetRenderer, fleetLines, fleetScreen } from '../view/fleet-renderers.ts'
import { jobsTable } from '../view/job-table.ts'

type Query = NonNullable<Contract['/v1/jobs']['get']['parameters']['query']>

export interface JobsOptions extends Pick<Query, 'state' | 'kind'> {
  limit: number
  registry?: string
  label?: string[]
  since?: string
  package?: string
  search?: string
  follow?: boolean
}

/** `layerd jobs`: one page of jobs, newest first; with `--follow` what happens to them, until Ctrl-C. */
export async function jobs(context: CommandContext, options: JobsOptions): Promise<ExitCode> {
  if (options.follow === true) return await followJobs(context, options)
  const { client, terminal, json, quiet } = context
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

async function followJobs(context: CommandContext, options: JobsOptions): Promise<ExitCode> {
  const { client, terminal } = context
  const filters = filtersOf(options)
  const renderer = fleetRenderer(context, options.limit)
  const left = Promise.withResolvers<void>()
  const stopListening = terminal.onInterrupt(() => left.resolve())
  const read = async () => {
    for await (const event of client.allEvents(filters)) renderer.event(event)
  }
  try {
    await Promise.race([read(), left.promise])
    return 130
  } finally {
    stopListening()
    renderer.stop()
  }
}

function fleetRenderer({ terminal, json, quiet }: CommandContext, limit: number): FleetRenderer {
  if (json) return { event: (event) => void terminal.stdout.write(`${JSON.stringify(event)}\n`), stop: () => undefined }
  return !quiet && showsBars(terminal) && terminal.stdout.isTTY === true
    ? fleetScreen(terminal, limit)
    : fleetLines(terminal, quiet)
}

/** Those that a stream has. Throws UsageError. */
function filtersOf({ state = [], kind = [], label = [], registry, ...rest }: JobsOptions): URLSearchParams {
  const foreign = (['since', 'package', 'search'] as const).find((name) => rest[name] !== undefined)
  if (foreign !== undefined) {
    throw new UsageError(
      `--follow shows what comes by --state, --kind, --registry and --label, and not by --${foreign}`,
    )
  }
  const query = new URLSearchParams(registry === undefined ? {} : { registry })
  for (const [name, values] of Object.entries({ state, kind, label })) {
    for (const value of [values].flat()) query.append(name, value)
  }
  return query
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

import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { answer } from '../client/calls.ts'
import { type CommandContext, type RegistryOptions } from '../client/context.ts'
import { type ExitCode, screenColumns } from '../client/terminal.ts'
import { fold } from '../view/format.ts'
import { jobPage } from '../view/job-page.ts'
import { runsText } from '../view/runs-text.ts'
import { sinceTime } from './jobs.ts'
import { jobIdOf, newestJobId } from './job-id.ts'
import { registryAuth } from './registry-auth.ts'
import { watchJob } from './watch.ts'

/** `layerd watch [JOB]`: follows it to its end; without an id the newest. */
export async function watch(context: CommandContext, text: string | undefined): Promise<ExitCode> {
  const { client, terminal, json, quiet } = context
  const id = text === undefined ? await newestJobId(client) : await jobIdOf(client, text)
  if (text === undefined && !json && !quiet) terminal.stderr.write(`job ${id}\n`)
  return (await watchJob(id, client, terminal, { json, quiet })).exit
}

/** Rows of a job that say where it is or where it failed. */
const TELLING = ['failed', 'retrying', 'active', 'verifying'] as const
const TELLING_ROWS = 10

/** `layerd show JOB`: all there is to know of it on one page. */
export async function show({ client, terminal, json }: CommandContext, text: string): Promise<ExitCode> {
  const id = await jobIdOf(client, text)
  const job = await answer(client.calls.GET('/v1/jobs/{id}', { params: { path: { id } } }))
  if (json) {
    terminal.stdout.write(`${JSON.stringify(job)}\n`)
    return 0
  }
  const query = { state: [...TELLING], pageSize: TELLING_ROWS }
  const rows = await answer(client.calls.GET('/v1/jobs/{id}/transfers', { params: { path: { id }, query } }))
  terminal.stdout.write(
    fold(jobPage(job, 'items' in rows ? rows.items : [rows], Date.now()), screenColumns(terminal.stdout)),
  )
  return 0
}

/** `layerd runs JOB`: where and when it ran, and why each run began and ended. */
export async function runs({ client, terminal, json }: CommandContext, text: string): Promise<ExitCode> {
  const id = await jobIdOf(client, text)
  const found = await answer(client.calls.GET('/v1/jobs/{id}/runs', { params: { path: { id } } }))
  if (json) for (const run of found.items) terminal.stdout.write(`${JSON.stringify(run)}\n`)
  else terminal.stdout.write(fold(runsText(found, Date.now()), screenColumns(terminal.stdout)))
  return 0
}

/** A word to a job, by its path under the job. */
export async function command(
  { client, terminal, json }: CommandContext,
  text: string,
  word: { verb: 'cancel' | 'pause' | 'resume' | 'retry'; reason?: string; headers?: Record<string, string> },
): Promise<ExitCode> {
  const id = await jobIdOf(client, text)
  const { verb, reason, headers = {} } = word
  const request = { params: { path: { id } }, headers, ...(reason === undefined ? {} : { body: { reason } }) }
  const job = await answer(client.calls.POST(`/v1/jobs/{id}/${verb}`, request))
  const state = job.state === 'running' && job.reason ? `${job.state} (${job.reason})` : job.state
  terminal.stdout.write(json ? `${JSON.stringify(job)}\n` : `${job.id} ${state}\n`)
  return 0
}

/** `layerd retry` and `resume`: with new credentials where some are given, as those of an ended job are forgotten. */
export async function queueAgain(
  context: CommandContext,
  text: string,
  { verb, options }: { verb: 'resume' | 'retry'; options: RegistryOptions },
): Promise<ExitCode> {
  const id = await jobIdOf(context.client, text)
  if (options.username === undefined && !options.passwordStdin) return command(context, id, { verb })
  const { kind, source, destination } = await answer(
    context.client.calls.GET('/v1/jobs/{id}', { params: { path: { id } } }),
  )
  const headers = await registryAuth(context, kind === 'pull' ? source : (destination ?? source), options)
  return command(context, id, { verb, headers })
}

export interface LogsOptions {
  follow?: boolean
  since?: string
  level?: string
}

/** `layerd logs JOB`: what became of it, in words. */
export async function logs(
  { client, terminal, json }: CommandContext,
  text: string,
  options: LogsOptions,
): Promise<ExitCode> {
  const id = await jobIdOf(client, text)
  const query = new URLSearchParams({
    ...(options.follow ? { follow: 'true' } : {}),
    ...(options.since === undefined ? {} : { since: sinceTime(options.since, Date.now()) }),
    ...(options.level === undefined ? {} : { level: options.level }),
  })
  const accept = json ? 'application/x-ndjson' : 'text/plain'
  const columns = json ? undefined : screenColumns(terminal.stdout)
  const lines = createInterface({
    input: Readable.from(client.text(`/v1/jobs/${id}/logs?${query.toString()}`, accept)),
  })
  for await (const line of lines) terminal.stdout.write(`${fold(line, columns)}\n`)
  return 0
}

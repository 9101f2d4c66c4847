import { resolve } from 'node:path'
import { writeFileAtomic } from '../../lib/atomic-file.ts'
import { answer } from '../client/calls.ts'
import { type CommandContext, CommandFailure } from '../client/context.ts'
import { type ExitCode, screenColumns } from '../client/terminal.ts'
import { traceTable } from '../view/trace-table.ts'
import { jobIdOf } from './job-id.ts'

export interface TraceOptions {
  har?: boolean
  output?: string
}

/** `layerd trace JOB`: the requests that it made to its registry, as a table, or as HAR for other tools. */
export async function trace(context: CommandContext, text: string, options: TraceOptions): Promise<ExitCode> {
  const { client, terminal, json, quiet } = context
  const id = await jobIdOf(client, text)
  const { har = false, output } = options
  if (har || output !== undefined) return await archive(context, id, output)
  const { log } = await answer(client.calls.GET('/v1/jobs/{id}/trace.har', { params: { path: { id } } }))
  const { entries, comment } = log
  if (json) for (const entry of entries) terminal.stdout.write(`${JSON.stringify(entry)}\n`)
  else terminal.stdout.write(traceTable(entries, { columns: screenColumns(terminal.stdout), heads: !quiet }))
  if (!json && !quiet) terminal.stderr.write(`(${comment})\n`)
  return 0
}

/** The archive as it comes, to a file where one is named. */
async function archive(
  { client, terminal, json }: CommandContext,
  id: string,
  output: string | undefined,
): Promise<ExitCode> {
  const parts: string[] = []
  for await (const part of client.text(`/v1/jobs/${id}/trace.har`, 'application/json')) {
    if (output === undefined) terminal.stdout.write(part)
    else parts.push(part)
  }
  if (output === undefined) return 0
  const path = resolve(terminal.cwd, output)
  await writeFileAtomic(path, parts.join('')).catch((error: unknown) => {
    throw new CommandFailure(`cannot write ${path}: ${(error as Error).message}`)
  })
  terminal.stdout.write(json ? `${JSON.stringify({ type: 'saved', path })}\n` : `${path}\n`)
  return 0
}

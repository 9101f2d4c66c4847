import { answer } from '../../client/calls.ts'
import type { CommandContext, OutputOptions } from '../../client/context.ts'
import type { Contract } from '../../client/contract.ts'
import { type ExitCode, screenColumns } from '../../client/terminal.ts'
import { statsText } from '../../view/stats-text.ts'

type Query = NonNullable<Contract['/v1/stats']['get']['parameters']['query']>

export interface StatsOptions extends OutputOptions, Query {}

/** `layerd stats`: what jobs moved, and how they ended, lately. Throws ApiProblem. */
export async function stats(context: CommandContext, { window, registry, kind }: StatsOptions): Promise<ExitCode> {
  const { client, terminal, json, quiet } = context
  const query: Query = {
    ...(window === undefined ? {} : { window }),
    ...(registry === undefined ? {} : { registry }),
    ...(kind === undefined ? {} : { kind }),
  }
  const told = await answer(client.calls.GET('/v1/stats', { params: { query } }))
  const view = { columns: screenColumns(terminal.stdout), ascii: terminal.env.ascii === true, quiet }
  terminal.stdout.write(json ? `${JSON.stringify(told)}\n` : statsText(told, view))
  return 0
}

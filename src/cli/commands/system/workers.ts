import { setTimeout as delay } from 'node:timers/promises'
import { visible } from '../../../lib/text.ts'
import { answer } from '../../client/calls.ts'
import { CommandFailure, type CommandContext, type OutputOptions, UsageError } from '../../client/context.ts'
import type { Worker } from '../../client/contract.ts'
import { ApiProblem } from '../../client/problems.ts'
import { type ExitCode, screenColumns } from '../../client/terminal.ts'
import { fittedTable, formatAge, formatBytes } from '../../view/format.ts'
import { printRows, rowsOf } from '../list.ts'

export interface DrainOptions extends OutputOptions {
  handOver?: boolean
  wait?: boolean
}

const LOOK_MS = 1000
const HEADS = ['STATE', 'JOBS', 'MEMORY', 'IN/S', 'OUT/S', 'WORKER']
/** What 80 columns have room for; --json has all of it. */
const WIDEST = [9, 7, 8, 8, 8, 30]

/** `layerd workers`. Throws ApiProblem. */
export async function workers(context: CommandContext): Promise<ExitCode> {
  const columns = screenColumns(context.terminal.stdout)
  return printRows(context, await allOf(context), {
    heads: HEADS,
    cells: cellsOf,
    format: (cells) => fittedTable(cells, { columns, widest: WIDEST }),
  })
}

/** `layerd workers drain ID`. Throws ApiProblem, CommandFailure. */
export async function drainWorker(context: CommandContext, given: string, options: DrainOptions): Promise<ExitCode> {
  const { client } = context
  const id = await wholeId(context, given)
  const asked = await answer(
    client.calls.POST('/v1/workers/{id}/drain', {
      params: { path: { id } },
      body: { handOver: options.handOver === true },
    }),
  )
  const worker = options.wait === true ? await restingOf(context, asked) : asked
  return tell(context, worker, drainText(worker))
}

/** `layerd workers resume ID`. Throws ApiProblem. */
export async function resumeWorker(context: CommandContext, given: string): Promise<ExitCode> {
  const id = await wholeId(context, given)
  const worker = await answer(context.client.calls.POST('/v1/workers/{id}/resume', { params: { path: { id } } }))
  return tell(context, worker, worker.state === 'lost' ? lostText(worker) : `${worker.id} takes jobs again`)
}

async function allOf({ client }: CommandContext): Promise<Worker[]> {
  return await Array.fromAsync(rowsOf((query) => answer(client.calls.GET('/v1/workers', { params: { query } }))))
}

/** The id that begins so; as it is where none or several do: the daemon says that there is none. */
async function wholeId(context: CommandContext, given: string): Promise<string> {
  const ids = (await allOf(context)).map(({ id }) => id).filter((id) => id.startsWith(given))
  if (ids.includes(given)) return given
  if (ids.length > 1)
    throw new UsageError(
      `${ids.length} workers begin with ${given.slice(0, 100)}: ${visible(ids.slice(0, 5).join(', '))}`,
    )
  return ids[0] ?? given
}

/** Once nothing runs there: because it is drained, or has ended. */
async function restingOf({ client }: CommandContext, asked: Worker): Promise<Worker> {
  let worker = asked
  while (worker.state !== 'drained') {
    if (worker.state === 'lost') throw new CommandFailure(visible(lostText(worker)))
    await delay(LOOK_MS)
    try {
      worker = await answer(client.calls.GET('/v1/workers/{id}', { params: { path: { id: asked.id } } }))
    } catch (error) {
      if (error instanceof ApiProblem && error.problem.code === 'NOT_FOUND') return { ...worker, jobs: [] }
      throw error
    }
  }
  return worker
}

function tell({ terminal, json, quiet }: CommandContext, worker: Worker, text: string): ExitCode {
  if (json) terminal.stdout.write(`${JSON.stringify(worker)}\n`)
  else terminal.stdout.write(`${visible(quiet ? worker.id : text)}\n`)
  return 0
}

function drainText(worker: Worker): string {
  const { id, jobs, drain, state } = worker
  if (state === 'lost') return lostText(worker)
  if (jobs.length === 0) return `${id} takes no more jobs, and none runs there`
  const some = jobs.length === 1 ? '1 job' : `${jobs.length} jobs`
  return drain?.handOver === true
    ? `${id} takes no more jobs, and hands ${some} over`
    : `${id} takes no more jobs; ${some} still ${jobs.length === 1 ? 'runs' : 'run'} there`
}

function lostText({ id, lastSeenAt }: Worker): string {
  return `${id} has given no sign since ${lastSeenAt}: others take over what it ran`
}

function cellsOf({ id, state, jobs, places, memory, bytesPerSecond, lastSeenAt }: Worker): string[] {
  const moved = (bytes: number): string => (bytes === 0 ? '-' : formatBytes(bytes))
  const lost = state === 'lost'
  return [
    lost ? `lost ${formatAge(Date.now() - Date.parse(lastSeenAt))}` : state,
    `${jobs.length}/${places}`,
    formatBytes(memory.rssBytes),
    lost ? '-' : moved(bytesPerSecond.in),
    lost ? '-' : moved(bytesPerSecond.out),
    id,
  ]
}

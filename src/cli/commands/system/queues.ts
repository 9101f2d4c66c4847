import { visible } from '../../../lib/text.ts'
import { answer } from '../../client/calls.ts'
import type { CommandContext, OutputOptions } from '../../client/context.ts'
import type { Queue } from '../../client/contract.ts'
import { type ExitCode, screenColumns } from '../../client/terminal.ts'
import { cut, fold, formatAge, formatTable } from '../../view/format.ts'
import { printRows, rowsOf } from '../list.ts'
import { idOf, withoutScheme } from '../registry-auth.ts'

export interface PauseQueueOptions extends OutputOptions {
  reason?: string
}

/** `layerd queues`: those with jobs that have not ended, and those that are paused. Throws ApiProblem. */
export async function queues(context: CommandContext): Promise<ExitCode> {
  const { client, terminal } = context
  const rows = await Array.fromAsync(rowsOf((query) => answer(client.calls.GET('/v1/queues', { params: { query } }))))
  const columns = screenColumns(terminal.stdout)
  return printRows(context, rows, {
    heads: ['QUEUE', 'WAITING', 'RUNNING', 'RETRYING', 'PAUSED', 'OLDEST', '/MIN', 'WHY'],
    cells: ({ host, jobs, oldestWaitingSeconds: oldest, jobsPerMinute, limits, reason, pause }) => [
      host,
      String(jobs.waiting),
      `${jobs.running}/${limits.jobs.value}`,
      String(jobs.retrying),
      String(jobs.paused),
      oldest === null ? '' : formatAge(oldest * 1000),
      String(Math.round(jobsPerMinute * 10) / 10),
      reason ?? (pause ? `paused by ${pause.by} since ${pause.since}` : ''),
    ],
    format: (cells) => queueTable(cells, columns),
  })
}

/** The last column is why its jobs wait: on a screen that has no room for it, it stands below its row. */
function queueTable(cells: ReadonlyArray<readonly string[]>, columns: number | undefined): string {
  const wide = formatTable(cells)
  if (columns === undefined || wide.split('\n').every((line) => line.length <= columns)) return wide
  const figures = cells.map(([host = '', ...rest]) => [cut(visible(host), WIDEST_HOST), ...rest.slice(0, -1)])
  const lines = formatTable(figures).trimEnd().split('\n')
  return lines
    .map((line, at) => {
      const why = visible(cells[at]?.at(-1) ?? '')
      return why === '' || why === 'WHY' ? `${line}\n` : `${line}\n${fold(`  ${why}`, columns)}\n`
    })
    .join('')
}

const WIDEST_HOST = 30

/** `layerd queues pause HOST`. Throws ApiProblem. */
export async function pauseQueue(
  context: CommandContext,
  place: string,
  { reason }: PauseQueueOptions,
): Promise<ExitCode> {
  const params = { path: { host: idOf(withoutScheme(place)) } }
  const body = reason === undefined ? {} : { reason }
  const queue = await answer(context.client.calls.POST('/v1/queues/{host}/pause', { params, body }))
  const { by = '', since = '' } = queue.pause ?? {}
  return tell(context, queue, `is paused by ${by} since ${since}; ${countText(queue.jobs.running, 'run on')}`)
}

/** `layerd queues resume HOST`. Throws ApiProblem. */
export async function resumeQueue(context: CommandContext, place: string): Promise<ExitCode> {
  const params = { path: { host: idOf(withoutScheme(place)) } }
  const queue = await answer(context.client.calls.POST('/v1/queues/{host}/resume', { params }))
  return tell(context, queue, `goes on; ${countText(queue.jobs.waiting, 'wait')}`)
}

function tell({ terminal, json, quiet }: CommandContext, queue: Queue, what: string): ExitCode {
  if (json) terminal.stdout.write(`${JSON.stringify(queue)}\n`)
  else terminal.stdout.write(quiet ? `${queue.host}\n` : `the queue of ${queue.host} ${what}\n`)
  return 0
}

/** `verb`: of several. */
function countText(count: number, verb: string): string {
  if (count === 1) return `1 job ${verb.replace(/^(run|wait)/, '$1s')}`
  return `${count === 0 ? 'no' : count} jobs ${verb}`
}

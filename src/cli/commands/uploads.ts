import { answer } from '../client/calls.ts'
import type { CommandContext } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { formatBytes } from '../view/format.ts'
import { printRows, rowsOf } from './list.ts'

/** `layerd uploads`: packages that were sent to the daemon and wait to be used. */
export async function uploads(context: CommandContext): Promise<ExitCode> {
  const { calls } = context.client
  const rows = await Array.fromAsync(rowsOf((query) => answer(calls.GET('/v1/uploads', { params: { query } }))))
  return printRows(context, rows, {
    heads: ['ID', 'NAME', 'SIZE', 'SHA256'],
    cells: ({ id, name, size, sha256, offset = 0 }) => [
      id,
      name,
      size === null ? '' : formatBytes(size),
      sha256?.slice(0, 12) ?? `${formatBytes(offset)} so far`,
    ],
  })
}

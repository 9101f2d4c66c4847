import type { Upload } from '../../http/schemas/upload.ts'
import type { CommandContext } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { formatBytes } from '../view/format.ts'
import { allOf, printRows } from './list.ts'

/** `layerd uploads`: packages that were sent to the daemon and wait to be used. */
export async function uploads(context: CommandContext): Promise<ExitCode> {
  return printRows(context, await allOf<Upload>(context, '/v1/uploads?pageSize=200'), {
    heads: ['ID', 'NAME', 'SIZE', 'SHA256'],
    cells: ({ id, name, size, sha256 }) => [id, name, formatBytes(size), sha256.slice(0, 12)],
  })
}

import { answer } from '../client/calls.ts'
import type { CommandContext } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { formatBytes } from '../view/format.ts'
import { tagsText } from '../view/package-text.ts'
import { printRows, rowsOf } from './list.ts'
import { isRepository, lookAt, type LookOptions } from './remote-package.ts'

/** `layerd packages`: what the store holds. */
export async function packages(context: CommandContext): Promise<ExitCode> {
  const { calls } = context.client
  const rows = await Array.fromAsync(rowsOf((query) => answer(calls.GET('/v1/packages', { params: { query } }))))
  return printRows(context, rows, {
    heads: ['NAME', 'VERSION', 'FLAVOR', 'ARCH', 'SIZE', 'DIGEST'],
    cells: (row) => [
      row.kind === 'bundle' ? `${row.name} (bundle)` : row.name,
      row.version ?? '',
      row.flavor ?? '',
      row.architecture,
      `${formatBytes(row.size)}${row.complete ? '' : ', a part'}`,
      row.digest,
    ],
  })
}

/** `layerd tags REFERENCE`: a tag there names one package, and the list is that of its repository all the same. */
export async function tags(context: CommandContext, reference: string, options: LookOptions): Promise<ExitCode> {
  const repository = repositoryOf(reference)
  const named = repository.includes('/') ? repository : reference
  // What the tags are nobody asked.
  const found = await lookAt(context, named, { ...options, pageSize: 0 })
  if (!isRepository(found)) throw new Error(`the daemon took ${repository} for a package`)
  if (context.json) context.terminal.stdout.write(`${JSON.stringify(found)}\n`)
  else context.terminal.stdout.write(tagsText(found))
  return 0
}

/** Without tag and digest; a colon before the last slash is a port's. */
function repositoryOf(reference: string): string {
  const [named = ''] = reference.split('@')
  const colon = named.lastIndexOf(':')
  return colon > named.lastIndexOf('/') ? named.slice(0, colon) : named
}

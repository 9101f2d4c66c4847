import { answer } from '../../client/calls.ts'
import type { CommandContext } from '../../client/context.ts'
import type { Setting } from '../../client/contract.ts'
import { type ExitCode, screenColumns } from '../../client/terminal.ts'
import { fittedTable } from '../../view/format.ts'
import { printRows } from '../list.ts'

const HEADS = ['SETTING', 'FROM', 'VALUE']
/** What 80 columns have room for; --json has all of it. */
const WIDEST = [28, 11, 60]

/** `layerd settings`. Throws ApiProblem. */
export async function settings(context: CommandContext, { set = false }: { set?: boolean }): Promise<ExitCode> {
  const { items } = await answer(context.client.calls.GET('/v1/system/settings'))
  const columns = screenColumns(context.terminal.stdout)
  return printRows(context, set ? items.filter(({ from }) => from !== 'default') : items, {
    heads: HEADS,
    cells: ({ name, from, ...setting }) => [name, from, valueOf({ from, ...setting })],
    format: (cells) => fittedTable(cells, { columns, widest: WIDEST }),
  })
}

function valueOf({ value, secret, from }: Pick<Setting, 'value' | 'secret' | 'from'>): string {
  if (value !== null) return value
  return secret && from !== 'default' ? '(a secret)' : '-'
}

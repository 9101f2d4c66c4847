import { visible } from '../../lib/text.ts'
import type { AuditEntry } from '../client/contract.ts'
import { cut, formatTable } from './format.ts'

const HEADS = ['TIME', 'WHO', 'WHAT', 'OUTCOME', 'ON', 'FROM']
/** Of HEADS, what stands in the first line of an entry where one line has no room for all. */
const IN_FIRST_LINE = 4
/** There, so that all of a screen of 80 columns is seen: 19 + 3 * 2 and these. */
const WIDEST = [19, 14, 21, 20]

/**
 * A line for each entry. On a screen of so many columns that has no room, two: what was asked, and below, what it was about;
 * columns undefined is no screen.
 */
export function auditTable(
  entries: readonly AuditEntry[],
  { heads, columns }: { heads: boolean; columns: number | undefined },
): string {
  const rows = entries.map((entry) => cellsOf(entry).map((cell) => visible(cell)))
  const all = [...(heads ? [HEADS] : []), ...rows]
  const wide = formatTable(all)
  if (columns === undefined || wide.split('\n').every((line) => line.length <= columns)) return wide
  const first = formatTable(all.map((row) => row.slice(0, IN_FIRST_LINE).map(cutAt))).split('\n')
  const lines = all.flatMap((row, at) => [first[at] ?? '', ...(row === HEADS ? [] : [aboutOf(row)])])
  return lines.map((line) => `${cut(line, columns)}\n`).join('')
}

function cutAt(cell: string, column: number): string {
  return cut(cell, WIDEST[column] ?? cell.length)
}

function aboutOf(row: readonly string[]): string {
  const [target = '', address = ''] = row.slice(IN_FIRST_LINE)
  return `  from ${address}${target === '' ? '' : `: ${target}`}`
}

function cellsOf({ time, principal, action, method, route, outcome, code, target, address }: AuditEntry): string[] {
  return [
    `${time.slice(0, 10)} ${time.slice(11, 19)}`,
    principal ?? '-',
    action ?? `${method} ${route ?? ''}`.trimEnd(),
    code ?? outcome,
    Object.entries(target)
      .map(([name, value]) => `${name}=${value}`)
      .join(' '),
    address,
  ]
}

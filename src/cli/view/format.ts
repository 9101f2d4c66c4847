import { visible } from '../../lib/text.ts'

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** How long something took; what took no second is told to a tenth. */
export function formatDuration(ms: number): string {
  return ms < 950 ? `${Math.max(0.1, Math.round(ms / 100) / 10)} s` : formatSeconds(Math.round(ms / 1000))
}

/** A time to come, which nobody knows to the second when it is long. */
export function formatTimeLeft(seconds: number): string {
  const coarse = seconds >= 600 && seconds < 3600
  return coarse ? `${Math.round(seconds / 60)} min left` : `${formatSeconds(seconds)} left`
}

/** How long ago, in one unit: 5s, 3m, 7h, 12d. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}

/** Lines of at most so many columns, broken between words; what goes on keeps its line's indent. Undefined: as it is. */
export function fold(text: string, columns: number | undefined): string {
  if (columns === undefined) return text
  return text
    .split('\n')
    .flatMap((line) => foldLine(line, Math.max(20, columns)))
    .join('\n')
}

function foldLine(line: string, columns: number): string[] {
  const indent = line.slice(0, line.length - line.trimStart().length)
  const lines: string[] = []
  let rest = line
  while (rest.length > columns) {
    const space = rest.lastIndexOf(' ', columns)
    // A word that has no room in a line of its own is left to the terminal, so that it can be copied.
    const end = space > indent.length ? space : rest.indexOf(' ', columns)
    if (end === -1) break
    lines.push(rest.slice(0, end))
    rest = `${indent}${rest.slice(end + 1)}`
  }
  return [...lines, rest]
}

/** At most so many columns; … stands for the rest. */
export function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`
}

/** Columns of text, each as wide as its widest cell. No cell can begin a line of its own. */
export function formatTable(cells: readonly (readonly string[])[]): string {
  const rows = cells.map((row) => row.map((cell) => visible(cell)))
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)))
  return rows
    .map((row) =>
      row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  '),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

/** A table; on a screen of so many columns that has no room for it with cells of at most `widest` columns, and lines that end there. */
export function fittedTable(
  cells: readonly (readonly string[])[],
  { columns, widest }: { columns: number | undefined; widest: readonly number[] },
): string {
  const wide = formatTable(cells)
  if (columns === undefined || wide.split('\n').every((line) => line.length <= columns)) return wide
  const narrow = cells.map((row) => row.map((cell, at) => cut(visible(cell), widest[at] ?? columns)))
  return formatTable(narrow)
    .split('\n')
    .map((line) => cut(line, columns))
    .join('\n')
}

import type { Stats } from '../client/contract.ts'
import { fittedTable, formatBytes } from './format.ts'

export interface StatsView {
  /** Of the screen; undefined is no screen. */
  columns: number | undefined
  /** The screen shows nothing else. */
  ascii: boolean
  /** The rows of registries alone. */
  quiet: boolean
}

type Totals = Stats['totals']

const HEADS = ['SENT', 'RECEIVED', 'BEGUN', 'SUCCEEDED', 'FAILED', 'CANCELED']
/** Of a name, so that a row has room on 80 columns. */
const WIDEST = [24]
const LEVELS = { ascii: '.:-=+*%#', unicode: '▁▂▃▄▅▆▇█' } as const
/** Behind a name and its sum. */
const LINE_INDENT = 20

/** What jobs moved and how they ended: in all, by registry, by kind. Bytes that were moved again count. */
export function statsText(stats: Stats, view: StatsView): string {
  const { totals, registries, otherRegistries, kinds } = stats
  const byRegistry: Array<[string, Totals]> = registries.map((one) => [one.registry, one.totals])
  if (otherRegistries) byRegistry.push(['all others', otherRegistries.totals])
  if (view.quiet) return table(byRegistry, undefined, view)
  const { jobsBegun, jobsSucceeded, jobsFailed, jobsCanceled } = totals
  const lines = [
    spanOf(stats),
    bytesLine('sent', stats, 'wireBytesSent', view),
    bytesLine('received', stats, 'wireBytesReceived', view),
    `jobs      ${jobsBegun} begun, ${jobsSucceeded} succeeded, ${jobsFailed} failed, ${jobsCanceled} canceled`,
  ]
  const parts = [
    lines.map((line) => `${line}\n`).join(''),
    ...(byRegistry.length > 0 ? [table(byRegistry, 'REGISTRY', view)] : []),
    ...(kinds.length > 1
      ? [
          table(
            kinds.map((one) => [one.kind, one.totals]),
            'KIND',
            view,
          ),
        ]
      : []),
  ]
  return parts.join('\n')
}

function spanOf({ since, now, resolution }: Stats): string {
  const timeOf = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 16)}`
  return `from ${timeOf(since)} to ${timeOf(now)} UTC, by ${resolution}`
}

function bytesLine(
  name: string,
  { totals, series }: Stats,
  measure: 'wireBytesSent' | 'wireBytesReceived',
  { columns, ascii }: StatsView,
): string {
  const told = `${name.padEnd(8)}  ${formatBytes(totals[measure]).padEnd(LINE_INDENT - 12)}`
  if (columns === undefined || totals[measure] === 0) return told.trimEnd()
  return `${told}  ${sparkline(series[measure], Math.max(1, columns - LINE_INDENT), ascii)}`.trimEnd()
}

/** A character for each figure, or for as many as it takes to have room: a blank for nothing, else how much of the largest. */
export function sparkline(figures: readonly number[], width: number, ascii: boolean): string {
  const each = Math.ceil(figures.length / width)
  const sums: number[] = []
  for (let end = figures.length; end > 0; end -= each) {
    sums.unshift(figures.slice(Math.max(0, end - each), end).reduce((sum, figure) => sum + figure, 0))
  }
  const levels = LEVELS[ascii ? 'ascii' : 'unicode']
  const largest = Math.max(...sums)
  return sums.map((sum) => (sum === 0 ? ' ' : levels.charAt(Math.ceil((sum / largest) * levels.length) - 1))).join('')
}

function table(rows: ReadonlyArray<[string, Totals]>, head: string | undefined, { columns }: StatsView): string {
  const cells = rows.map(([name, totals]) => [
    name,
    formatBytes(totals.wireBytesSent),
    formatBytes(totals.wireBytesReceived),
    ...[totals.jobsBegun, totals.jobsSucceeded, totals.jobsFailed, totals.jobsCanceled].map(String),
  ])
  return fittedTable([...(head === undefined ? [] : [[head, ...HEADS]]), ...cells], { columns, widest: WIDEST })
}

import type { HarEntry } from '../client/contract.ts'
import { cut, formatBytes, formatTable } from './format.ts'

const HEADS = ['AT', 'METHOD', 'STATUS', 'TIME', 'SENT', 'READ', 'WHAT']
/** So much of a digest tells it from others. */
const SHORT_DIGEST = 12

/**
 * A line for each request; on a screen of so many columns their ends are cut, and the host that most of them went to is left
 * out; undefined is no screen. `heads`: begins with what the columns are.
 */
export function traceTable(
  entries: readonly HarEntry[],
  { columns, heads }: { columns: number | undefined; heads: boolean },
): string {
  const start = Date.parse(entries[0]?.startedDateTime ?? '')
  const known = columns === undefined ? undefined : usualHost(entries)
  const rows = entries.map((entry) => cellsOf(entry, start, known))
  const table = formatTable(heads ? [HEADS, ...rows] : rows)
  if (columns === undefined) return table
  return table
    .split('\n')
    .map((line) => cut(line, columns))
    .join('\n')
}

function usualHost(entries: readonly HarEntry[]): string | undefined {
  const counts = new Map<string, number>()
  for (const { request } of entries) {
    const host = hostOf(request.url)
    counts.set(host, (counts.get(host) ?? 0) + 1)
  }
  return [...counts].toSorted(([, a], [, b]) => b - a)[0]?.[0]
}

function hostOf(url: string): string {
  return URL.parse(url)?.host ?? ''
}

function cellsOf(entry: HarEntry, start: number, known: string | undefined): string[] {
  const { startedDateTime, request, response, time } = entry
  const { bodySize: sent } = request
  const { bodySize: read, status } = response
  return [
    `+${((Date.parse(startedDateTime) - start) / 1000).toFixed(2)}`,
    request.method,
    status === 0 ? '-' : String(status),
    duration(time),
    sent > 0 ? formatBytes(sent) : '',
    read > 0 ? formatBytes(read) : '',
    whatOf(entry, known),
  ]
}

/** What went wrong comes before the address: that may be cut. */
function whatOf({ request, _op, _try, _open, _error, response }: HarEntry, known: string | undefined): string {
  const notes = [
    ...(_error ? [_error.code] : []),
    ...(_open ? ['under way'] : []),
    ...(_try > 1 && response.status < 300 && !_error ? [`try ${_try}`] : []),
  ]
  const told = notes.length === 0 ? '' : ` (${notes.join(', ')})`
  return `${_op}${told} ${shortAddress(request.url, known)}`
}

/** Host, but for the one that is known, and path, of digests as much as tells them apart. */
function shortAddress(url: string, known: string | undefined): string {
  const whole = url.replace(/^https?:\/\//, '').split('?', 1)[0] ?? ''
  const address = known !== undefined && hostOf(url) === known ? whole.slice(whole.indexOf('/')) : whole
  return address.replace(/sha256:[0-9a-f]{64}/g, (digest) => digest.slice(0, 'sha256:'.length + SHORT_DIGEST))
}

function duration(ms: number): string {
  return ms < 9999.5 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

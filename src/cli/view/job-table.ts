import type { Job } from '../client/contract.ts'
import { trimEndOf } from '../../lib/text.ts'
import { cut, formatAge, formatBytes, formatTable } from './format.ts'

/** So much of an id tells it from all others: the time it was made at, to the millisecond. */
const SHORT_ID = 13
const HEADS = ['ID', 'KIND', 'STATE', 'AGE', 'TRY', 'PROGRESS', 'PACKAGE', 'FROM', 'TO']
/** Of HEADS, what stands in the first line of a job where one line has no room for all. */
const IN_FIRST_LINE = 6

/**
 * A line for each job. On a screen of so many columns that has no room, two: what it is, and below, where it goes; columns
 * undefined is no screen.
 */
export function jobsTable(
  jobs: readonly Job[],
  { now, columns }: { now: number; columns: number | undefined },
): string {
  const rows = jobs.map((job) => cellsOf(job, now))
  const wide = formatTable([HEADS, ...rows])
  if (columns === undefined || wide.split('\n').every((line) => line.length <= columns)) return wide
  const first = formatTable([HEADS, ...rows].map((row) => row.slice(0, IN_FIRST_LINE))).split('\n')
  const lines = [first[0] ?? '', ...rows.flatMap((row, at) => [first[at + 1] ?? '', wayOf(row)])]
  return lines.map((line) => `${cut(line, columns)}\n`).join('')
}

function wayOf(row: readonly string[]): string {
  const [name = '', from = '', to = ''] = row.slice(IN_FIRST_LINE)
  return `  ${name === '' ? '' : `${name}: `}${from} -> ${to}`
}

function cellsOf(job: Job, now: number): string[] {
  const { id, kind, state, attempt, createdAt, source, destination } = job
  return [
    id.slice(0, SHORT_ID),
    kind,
    state,
    formatAge(now - Date.parse(createdAt)),
    String(attempt),
    progressOf(job),
    packageOf(job),
    shortPlace(source),
    destination === null ? 'store' : shortPlace(destination),
  ]
}

/** How far it is, how much it was, the code of what went wrong, or what it waits for. */
function progressOf({ state, error, reason, progress, result }: Job): string {
  if (error) return error.code
  if (state === 'queued' && reason) return reason
  if (state === 'succeeded') return result ? formatBytes(result.bytes) : ''
  const { bytesTotal, bytesTotalEstimate, bytesDone, layers } = progress
  const total = bytesTotal ?? bytesTotalEstimate
  if (total) return `${bytesTotal === null ? '~' : ''}${Math.floor((100 * Math.min(bytesDone, total)) / total)} %`
  return layers.total === null ? '' : `${layers.done} of ${layers.total} layers`
}

const ARCHITECTURES = new Set(['amd64', 'arm64', 'multi'])

const ARCHIVE_END = /\.tar(?:\.zst)?(?:\.part000)?$/

/** Name and version as far as the job tells them: as it read them, else by its result, its reference or its file's name. */
export function packageOf({ kind, source, result, package: about }: Job): string {
  if (about) return [about.name, [about.version, about.flavor].filter(Boolean).join('-')].filter(Boolean).join(' ')
  const named = [result?.reference, kind === 'publish' ? undefined : source].find((text) => text?.startsWith('oci://'))
  if (named !== undefined) return (lastPart(named).split('@')[0] ?? '').replace(':', ' ')
  return /^(?:upload|store):/.test(source) ? '' : archivePackage(lastPart(source).replace(ARCHIVE_END, ''))
}

/** zarf-package-NAME-ARCH-VERSION, zarf-init-ARCH-VERSION; names have dashes too. */
function archivePackage(file: string): string {
  const parts = file.replace(/^zarf-(?:package-)?/, '').split('-')
  const at = parts.findIndex((part, place) => place > 0 && ARCHITECTURES.has(part))
  if (at === -1 || !file.startsWith('zarf-')) return file
  return [parts.slice(0, at).join('-'), parts.slice(at + 1).join('-')].filter((part) => part !== '').join(' ')
}

/** Without the scheme; of a file its name alone. */
function shortPlace(place: string): string {
  if (place.startsWith('file:')) return lastPart(place)
  return place.replace(/^oci:\/\//, '').replace(/^(upload:[0-9a-f]{8})[0-9a-f-]{0,28}$/, '$1')
}

function lastPart(place: string): string {
  const part = trimEndOf(place, '/').split('/').at(-1) ?? ''
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

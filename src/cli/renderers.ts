import { MultiBar, Presets, type SingleBar } from 'cli-progress'
import type { Job, Progress, Transfer } from '../http/schemas/types.ts'
import type { StreamedEvent } from './client.ts'
import { formatBytes, formatSeconds } from './format.ts'
import type { Terminal } from './terminal.ts'

/** Shows a job's events in one manner. */
export interface Renderer {
  event(event: StreamedEvent): void
  /** Gives the screen back. */
  stop(): void
}

/** One line of JSON an event, as the daemon sent it. */
export function jsonRenderer({ stdout }: Terminal): Renderer {
  return { event: (event) => void stdout.write(`${JSON.stringify(event)}\n`), stop: () => undefined }
}

export const silentRenderer: Renderer = { event: () => undefined, stop: () => undefined }

export const CALM_INTERVAL_MS = 5000

/** Plain lines, for logs and pipes: the plan, a line every few seconds, what goes wrong. */
export function lineRenderer({ stderr }: Terminal, now: () => number = Date.now): Renderer {
  let lastLine = 0
  const line = (text: string) => void stderr.write(`${text}\n`)
  return {
    event(event) {
      const notice = noticeOf(event)
      if (notice !== undefined) line(notice)
      const progress = progressOf(event)
      if (!progress || event.type === 'plan' || event.type === 'end') return
      if (now() - lastLine < CALM_INTERVAL_MS) return
      lastLine = now()
      line(progressText(progress))
    },
    stop: () => undefined,
  }
}

export const BAR_OPTIONS = {
  format: '{bar} {percentage}% {amount} {note}',
  barsize: 24,
  hideCursor: true,
  clearOnComplete: true,
  autopadding: true,
  forceRedraw: true,
  gracefulExit: false,
} as const

/** A bar in total and one for each layer under way, as far as the screen has room. */
export function barRenderer({ stderr }: Terminal): Renderer {
  const bars = new MultiBar({ ...BAR_OPTIONS, stream: stderr }, Presets.shades_classic)
  const total = bars.create(1, 0, { amount: '', note: '' })
  const layers = new Map<string, SingleBar>()
  const room = () => Math.max(1, (stderr.rows || 24) - 4)
  let stopped = false
  const show = (transfer: Transfer) => {
    const bar = layers.get(transfer.digest)
    if (transfer.state !== 'active' && transfer.state !== 'verifying' && transfer.state !== 'retrying') {
      if (bar) bars.remove(bar)
      layers.delete(transfer.digest)
      return
    }
    const payload = { amount: formatBytes(transfer.size).padStart(9), note: transferNote(transfer) }
    if (bar) bar.update(transfer.bytesDone, payload)
    else if (layers.size < room())
      layers.set(transfer.digest, bars.create(Math.max(1, transfer.size), transfer.bytesDone, payload))
  }
  return {
    event(event) {
      // What comes after the screen was given back must not draw on it.
      if (stopped) return
      const notice = event.type === 'plan' ? undefined : noticeOf(event)
      if (notice !== undefined) bars.log(`${folded(notice, stderr.columns)}\n`)
      if ('transfers' in event) event.transfers.forEach(show)
      const progress = progressOf(event)
      if (!progress) return
      const size = progress.bytesTotal ?? progress.sourceBytes ?? 1
      total.setTotal(Math.max(1, size))
      total.update(progress.bytesTotal === null ? progress.sourceBytesRead : progress.bytesDone, {
        amount: formatBytes(size).padStart(9),
        note: `${progress.bytesTotal === null ? 'of the archive read' : 'in total'}, ${paceNote(progress)}`,
      })
    },
    stop() {
      if (stopped) return
      stopped = true
      bars.update() // writes what was logged since the last one
      bars.stop()
    },
  }
}

/** In lines of the screen's width: while bars are shown the terminal cuts what is longer. */
function folded(text: string, columns: number | undefined): string {
  const width = columns || 80 // some pseudo terminals say 0
  const lines: string[] = []
  for (let rest = text; rest !== ''; rest = rest.slice(width)) lines.push(rest.slice(0, width))
  return lines.join('\n')
}

/** The sentence a job ends with. */
export function endText(job: Job): string {
  if (job.result && job.state === 'succeeded') {
    const { result, progress } = job
    const saved = progress.bytesSkipped + progress.bytesMounted
    const kept = saved > 0 ? `, ${formatBytes(saved)} were there already` : ''
    return `${job.kind} succeeded: ${result.reference}\n  ${result.digest}\n  ${result.layers} layers, ${formatBytes(result.bytes)} in ${formatSeconds(result.durationMs / 1000)}${kept}`
  }
  if (job.state === 'failed' && job.error) return `${job.kind} failed: ${problemText(job.error)}`
  return `${job.kind} ${job.state}${job.reason ? `: ${job.reason}` : ''}`
}

/** What went wrong, where, and what to do: one block. */
export function problemText(problem: NonNullable<Job['error']>): string {
  const { upstream } = problem
  const where = upstream
    ? [
        upstream.registry,
        upstream.repository,
        upstream.reference ?? upstream.digest,
        upstream.status && `HTTP ${upstream.status}`,
        upstream.ociCode,
      ]
        .filter(Boolean)
        .join(' ')
    : ''
  const fields = (problem.errors ?? []).map((error) => `  ${error.pointer || '/'}: ${error.detail}`)
  return [
    `${problem.title} (${problem.code})`,
    `  ${problem.detail}`,
    ...fields,
    ...(where === '' ? [] : [`  at ${where}`]),
    ...(problem.hint ? [`  ${problem.hint}`] : []),
  ].join('\n')
}

function noticeOf(event: StreamedEvent): string | undefined {
  if (event.type === 'warning') return `warning ${event.code}: ${event.message}`
  if (event.type === 'log') return event.level === 'debug' ? undefined : event.message
  if (event.type === 'plan') return planText(event.progress)
  if (event.type === 'state' && event.job.state === 'retrying') {
    const { error, progress } = event.job
    return `retrying${progress.retryAt ? ` at ${progress.retryAt}` : ''}${error ? `: ${error.detail}` : ''}`
  }
  if (event.type === 'state' && event.job.state === 'paused') {
    return `paused${event.job.reason ? `: ${event.job.reason}` : ''} (layerd resume ${event.job.id})`
  }
  return undefined
}

function progressOf(event: StreamedEvent): Progress | undefined {
  if ('progress' in event) return event.progress
  return 'job' in event ? event.job.progress : undefined
}

function planText(progress: Progress): string {
  return `plan: ${progress.layers.total ?? '?'} blobs, ${formatBytes(progress.bytesTotal ?? 0)}`
}

function progressText(progress: Progress): string {
  const { phase, layers, bytesTotal, bytesDone, sourceBytes, sourceBytesRead } = progress
  if (bytesTotal === null && sourceBytesRead === 0) return phase
  const done = formatBytes(bytesDone)
  const parts =
    bytesTotal === null
      ? [`${done} done`, ...(sourceBytes ? [`${percent(sourceBytesRead, sourceBytes)} of the archive read`] : [])]
      : [`${percent(bytesDone, bytesTotal)}, ${done} of ${formatBytes(bytesTotal)}`]
  const count = layers.total === null ? `${layers.done} blobs` : `${layers.done} of ${layers.total} blobs`
  return `${phase}: ${[...parts, count, paceNote(progress)].join(', ')}`
}

function percent(part: number, whole: number): string {
  return `${whole === 0 ? 100 : Math.floor((part / whole) * 100)} %`
}

function paceNote(progress: Progress): string {
  const eta = progress.etaSeconds === null ? '' : `, ${formatSeconds(progress.etaSeconds)} left`
  return `${formatBytes(progress.bytesPerSecond)}/s${eta}`
}

function transferNote(transfer: Transfer): string {
  const wait = transfer.state === 'retrying' && transfer.retryAt ? ` (again at ${transfer.retryAt})` : ''
  return `${transfer.state === 'active' ? '' : `${transfer.state} `}${shortTitle(transfer.title)}${wait}`
}

/** Images' blobs are named by their digest, of which twelve digits tell them apart. */
function shortTitle(title: string): string {
  return title.replace(/\b([0-9a-f]{12})[0-9a-f]{52}\b/, '$1…')
}

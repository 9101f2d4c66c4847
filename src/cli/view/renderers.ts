import { MultiBar, Presets, type SingleBar } from 'cli-progress'
import type { Progress, Transfer } from '../client/contract.ts'
import type { StreamedEvent } from '../client/api-client.ts'
import { formatBytes } from './format.ts'
import { visible } from '../../lib/text.ts'
import type { Terminal } from '../client/terminal.ts'
import { barText, noticeOf, progressText, sizeText, transferNote } from './texts.ts'

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
  let kind: string | undefined
  const line = (text: string) => void stderr.write(`${text}\n`)
  return {
    event(event) {
      if ('job' in event) kind = event.job.kind
      const notice = noticeOf(event)
      if (notice !== undefined) line(notice)
      const progress = progressOf(event)
      if (!progress || event.type === 'plan' || event.type === 'end') return
      if (now() - lastLine < CALM_INTERVAL_MS) return
      lastLine = now()
      line(progressText(progress, kind))
    },
    stop: () => undefined,
  }
}

/** While nothing moves no event comes: the last pace is then no longer true. The API takes the same time for stale. */
const STALE_AFTER_MS = 5000

/** What a line says beside its bar, at most; the terminal cuts what has no room, and the time left stands last. */
const WORDS_WIDTH = 70
const BAR_WIDTH = { min: 10, max: 24 }

/** For a screen of so many columns. */
export function barOptions(columns: number | undefined) {
  const room = widthOf(columns) - WORDS_WIDTH
  return { ...BAR_OPTIONS, barsize: Math.max(BAR_WIDTH.min, Math.min(BAR_WIDTH.max, room)) }
}

const BAR_OPTIONS = {
  format: '{bar} {percentage}% {amount} {note}',
  hideCursor: true,
  clearOnComplete: true,
  autopadding: true,
  forceRedraw: true,
  gracefulExit: false,
} as const

/** Smaller layers share one line: a bar each would come and go faster than anybody reads. */
const OWN_BAR_BYTES = 1024 * 1024

/** A bar in total, one for each larger layer under way as far as the screen has room, and one line for all small ones. */
export function barRenderer({ stderr, canvas }: Terminal): Renderer {
  const bars = new MultiBar({ ...barOptions(stderr.columns), stream: canvas }, Presets.shades_classic)
  const total = bars.create(1, 0, { amount: '', note: '' })
  const layers = new LayerBars(bars, () => Math.max(1, (stderr.rows || 24) - 5))
  let kind: string | undefined
  let stopped = false
  let silence: NodeJS.Timeout | undefined
  const draw = (progress: Progress) => {
    const size = progress.bytesTotal ?? progress.bytesTotalEstimate
    total.setTotal(Math.max(1, size ?? 1))
    total.update(size === null ? 0 : progress.bytesDone, {
      amount: (sizeText(progress) ?? '').padStart(9),
      note: visible(barText(progress, kind)),
    })
  }
  return {
    event(event) {
      // What comes after the screen was given back must not draw on it.
      if (stopped) return
      if ('job' in event) kind = event.job.kind
      const notice = event.type === 'plan' ? undefined : noticeOf(event)
      if (notice !== undefined) bars.log(`${folded(visible(notice, '\n'), stderr.columns)}\n`)
      if ('transfers' in event) for (const transfer of event.transfers) layers.show(transfer)
      const progress = progressOf(event)
      if (!progress) return
      draw(progress)
      clearTimeout(silence)
      const paceless = { ...progress, bytesPerSecond: null, etaSeconds: null }
      silence = setTimeout(() => draw(paceless), STALE_AFTER_MS).unref()
    },
    stop() {
      if (stopped) return
      stopped = true
      clearTimeout(silence)
      bars.update() // writes what was logged since the last one
      bars.stop()
    },
  }
}

class LayerBars {
  readonly #bars: MultiBar
  readonly #room: () => number
  readonly #own = new Map<string, SingleBar>()
  /** Small layers under way, and how many there have been. */
  readonly #small = new Set<string>()
  #met = 0
  #smallBar: SingleBar | undefined

  constructor(bars: MultiBar, room: () => number) {
    this.#bars = bars
    this.#room = room
  }

  show(transfer: Transfer): void {
    const underWay = transfer.state === 'active' || transfer.state === 'verifying' || transfer.state === 'retrying'
    // One that waits to be tried again is no small matter.
    const own = transfer.size >= OWN_BAR_BYTES || transfer.state === 'retrying' || this.#own.has(transfer.digest)
    if (own) this.#showOwn(transfer, underWay)
    else this.#showSmall(transfer, underWay)
  }

  #showOwn(transfer: Transfer, underWay: boolean): void {
    const bar = this.#own.get(transfer.digest)
    if (!underWay) {
      if (bar) this.#bars.remove(bar)
      this.#own.delete(transfer.digest)
      return
    }
    const payload = { amount: formatBytes(transfer.size).padStart(9), note: visible(transferNote(transfer)) }
    if (bar) bar.update(transfer.bytesDone, payload)
    else if (this.#own.size < this.#room()) {
      const made = this.#bars.create(Math.max(1, transfer.size), transfer.bytesDone, payload)
      this.#own.set(transfer.digest, made)
    }
  }

  #showSmall({ digest }: Transfer, underWay: boolean): void {
    if (underWay === this.#small.has(digest)) return
    if (underWay) this.#met += 1
    if (underWay) this.#small.add(digest)
    else this.#small.delete(digest)
    const payload = {
      amount: ''.padStart(9),
      note: this.#small.size === 0 ? 'small layers' : `small layers, ${this.#small.size} under way`,
    }
    this.#smallBar ??= this.#bars.create(1, 0, payload)
    this.#smallBar.setTotal(Math.max(1, this.#met))
    this.#smallBar.update(this.#met - this.#small.size, payload)
  }
}

/** In lines of the screen's width: while bars are shown the terminal cuts what is longer. */
function folded(text: string, columns: number | undefined): string {
  const width = widthOf(columns)
  const lines: string[] = []
  for (let rest = text; rest !== ''; rest = rest.slice(width)) lines.push(rest.slice(0, width))
  return lines.join('\n')
}

/** Some pseudo terminals say 0. */
function widthOf(columns: number | undefined): number {
  return columns || 80
}

function progressOf(event: StreamedEvent): Progress | undefined {
  if ('progress' in event) return event.progress
  return 'job' in event ? event.job.progress : undefined
}

import { Presets, SingleBar } from 'cli-progress'
import { formatBytes } from './format.ts'
import { barOptions, CALM_INTERVAL_MS } from './renderers.ts'
import { showsBars, type Terminal } from '../client/terminal.ts'

/** How far one stream of bytes between this machine and the daemon is. */
export interface ByteProgress extends Disposable {
  /** `total` is undefined where it is not known. */
  readonly update: (bytes: number, total: number | undefined) => void
  /** So much was there before: its pace is that of what comes from now on. */
  readonly begin: (bytes: number) => void
  /** Why nothing moves; a word for a bar, and a sentence for a line, which is not repeated. */
  readonly say: (word: string, sentence?: string) => void
}

const nothing = () => undefined
const SILENT: ByteProgress = { update: nothing, begin: nothing, say: nothing, [Symbol.dispose]: nothing }

/** A bar on a terminal, a line every few seconds elsewhere. `verb`: uploading, saving. */
export function byteProgress(
  { stderr, canvas, env }: Pick<Terminal, 'stderr' | 'canvas' | 'env'>,
  { verb, silent, now = Date.now }: { verb: string; silent: boolean; now?: () => number },
): ByteProgress {
  if (silent) return SILENT
  let start = { at: now(), bytes: 0 }
  const begin = (bytes: number) => void (start = { at: now(), bytes })
  const rate = (bytes: number) =>
    `${formatBytes((Math.max(0, bytes - start.bytes) * 1000) / Math.max(1, now() - start.at))}/s`
  if (!showsBars({ stderr, env })) return { ...lines(stderr, { verb, rate, now, startedAt: start.at }), begin }
  const bar = new SingleBar({ ...barOptions(stderr.columns), stream: canvas }, Presets.shades_classic)
  bar.start(1, 0, { amount: '', note: verb })
  return {
    update(bytes, total) {
      bar.setTotal(Math.max(1, total ?? bytes))
      bar.update(bytes, { amount: formatBytes(total ?? bytes).padStart(9), note: `${verb}, ${rate(bytes)}` })
    },
    begin,
    say: (word) => bar.update({ note: word }),
    [Symbol.dispose]: () => bar.stop(),
  }
}

function lines(
  stderr: Terminal['stderr'],
  {
    verb,
    rate,
    now,
    startedAt,
  }: { verb: string; rate: (bytes: number) => string; now: () => number; startedAt: number },
): Omit<ByteProgress, 'begin'> {
  let lastLine = startedAt
  let said = ''
  return {
    update(bytes, total) {
      if (now() - lastLine < CALM_INTERVAL_MS) return
      lastLine = now()
      const of = total === undefined ? '' : ` of ${formatBytes(total)}`
      said = ''
      stderr.write(`${verb}: ${formatBytes(bytes)}${of}, ${rate(bytes)}\n`)
    },
    say(word, sentence = word) {
      if (sentence === said) return
      said = sentence
      stderr.write(`${verb}: ${sentence}\n`)
    },
    [Symbol.dispose]: () => undefined,
  }
}

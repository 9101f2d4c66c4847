import { Presets, SingleBar } from 'cli-progress'
import { formatBytes } from './format.ts'
import { barOptions, CALM_INTERVAL_MS } from './renderers.ts'
import { showsBars, type Terminal } from '../client/terminal.ts'

/** How far one stream of bytes between this machine and the daemon is. */
export interface ByteProgress extends Disposable {
  /** `total` is undefined where it is not known. */
  readonly update: (bytes: number, total: number | undefined) => void
}

const SILENT: ByteProgress = { update: () => undefined, [Symbol.dispose]: () => undefined }

/** A bar on a terminal, a line every few seconds elsewhere. `verb`: uploading, saving. */
export function byteProgress(
  { stderr, canvas, env }: Pick<Terminal, 'stderr' | 'canvas' | 'env'>,
  { verb, silent, now = Date.now }: { verb: string; silent: boolean; now?: () => number },
): ByteProgress {
  if (silent) return SILENT
  const startedAt = now()
  const rate = (bytes: number) => `${formatBytes((bytes * 1000) / Math.max(1, now() - startedAt))}/s`
  if (!showsBars({ stderr, env })) return lines(stderr, { verb, rate, now, startedAt })
  const bar = new SingleBar({ ...barOptions(stderr.columns), stream: canvas }, Presets.shades_classic)
  bar.start(1, 0, { amount: '', note: verb })
  return {
    update(bytes, total) {
      bar.setTotal(Math.max(1, total ?? bytes))
      bar.update(bytes, { amount: formatBytes(total ?? bytes).padStart(9), note: `${verb}, ${rate(bytes)}` })
    },
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
): ByteProgress {
  let lastLine = startedAt
  return {
    update(bytes, total) {
      if (now() - lastLine < CALM_INTERVAL_MS) return
      lastLine = now()
      const of = total === undefined ? '' : ` of ${formatBytes(total)}`
      stderr.write(`${verb}: ${formatBytes(bytes)}${of}, ${rate(bytes)}\n`)
    },
    [Symbol.dispose]: () => undefined,
  }
}

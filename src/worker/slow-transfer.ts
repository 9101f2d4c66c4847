import { AppError } from '../lib/errors.ts'
import type { BlobEvent, EngineEvent } from '../transfer/events.ts'

/** What a run has to bring to keep its place: so many bytes a second, over so long. */
export interface SlowLimit {
  readonly bytesPerSecond: number
  readonly overMs: number
}

export const SLOW_LIMIT: SlowLimit = { bytesPerSecond: 1024, overMs: 300_000 }

const LOOKS = 60

/** What a blob does after an event of it; undefined: nothing of this run's own that brings bytes. */
const STATE_AFTER: Readonly<Record<BlobEvent['type'], 'moving' | 'verifying' | undefined>> = {
  started: 'moving',
  bytes: 'moving',
  verifying: 'verifying',
  followed: undefined,
  retrying: undefined,
  restarted: undefined,
  exists: undefined,
  mounted: undefined,
  complete: undefined,
  failed: undefined,
}

/** Follows how fast a run goes. */
export interface SlowWatch {
  event(event: EngineEvent): void
  /** So many bytes of an answer have come; undefined: nobody reads it any more. */
  body(answer: object, bytes: number | undefined): void
  /** TRANSFER_TOO_SLOW once it has been too slow for too long. `now`: ms, of any clock that only goes forward. */
  look(now: number): AppError | undefined
}

/**
 * Only time in which bytes could come counts: an answer of a registry is being read, or some blob is on its way by this run's
 * own doing (not another job's, which it follows); none is being committed, and no request of the run waits to be tried again. Bytes that are read of a local
 * source, or found at the far end, count like those that go over the wire.
 */
export function createSlowWatch({ bytesPerSecond, overMs }: SlowLimit): SlowWatch {
  const sizes = new Map<string, number>()
  const blobs = new Map<string, 'moving' | 'verifying'>()
  const waiting = new Set<object>()
  const answers = new Set<object>()
  let moved = 0
  let read = 0
  let answered = 0
  const applyBlob = (event: BlobEvent): void => {
    if (event.type === 'bytes') moved += event.wire
    if (event.type === 'exists' || event.type === 'mounted') moved += sizes.get(event.digest) ?? 0
    const state = STATE_AFTER[event.type]
    if (state) blobs.set(event.digest, state)
    else blobs.delete(event.digest)
  }
  const apply = (event: EngineEvent): void => {
    if (event.type === 'transfer') sizes.set(event.digest, event.size)
    else if (event.type === 'source') read = Math.max(read, event.bytesRead)
    else if (event.type === 'waiting' && event.wait) waiting.add(event.request)
    else if (event.type === 'waiting') waiting.delete(event.request)
    else if ('digest' in event) applyBlob(event)
  }
  const counts = (): boolean => {
    const states = [...blobs.values()]
    return waiting.size === 0 && !states.includes('verifying') && (answers.size > 0 || states.includes('moving'))
  }
  const window = createWindow(overMs)
  let before = { now: 0, moved: 0, read: 0, answered: 0, counts: false }
  return {
    event: apply,
    body(answer, bytes) {
      if (bytes === undefined) answers.delete(answer)
      else answers.add(answer)
      answered += bytes ?? 0
    },
    look(now) {
      const last = before
      before = { now, moved, read, answered, counts: counts() }
      if (!last.counts || !before.counts) return undefined
      // A process that was stopped, or had no time, could not see what came.
      const ms = Math.min(now - last.now, (2 * overMs) / LOOKS)
      window.add(ms, Math.max(moved - last.moved, read - last.read, answered - last.answered))
      const rate = window.rate()
      return rate !== undefined && rate < bytesPerSecond ? tooSlow(rate, overMs) : undefined
    },
  }
}

/** Looks until it is disposed. */
export function watchSlowness(
  limit: SlowLimit,
  onSlow: (error: AppError) => void,
): Omit<SlowWatch, 'look'> & Disposable {
  const watch = createSlowWatch(limit)
  const timer = setInterval(() => {
    const error = watch.look(performance.now())
    if (error) onSlow(error)
  }, limit.overMs / LOOKS)
  return { ...watch, [Symbol.dispose]: () => clearInterval(timer) }
}

/** Bytes over the last `overMs` of the time that was counted. */
function createWindow(overMs: number) {
  const samples: Array<{ ms: number; bytes: number }> = []
  let [ms, bytes] = [0, 0]
  return {
    add(sampleMs: number, sampleBytes: number): void {
      samples.push({ ms: sampleMs, bytes: sampleBytes })
      ms += sampleMs
      bytes += sampleBytes
      for (let [oldest] = samples; oldest && ms - oldest.ms >= overMs; [oldest] = samples) {
        samples.shift()
        ms -= oldest.ms
        bytes -= oldest.bytes
      }
    },
    /** Bytes a second; undefined before it is full. */
    rate: (): number | undefined => (ms < overMs ? undefined : (1000 * bytes) / ms),
  }
}

function tooSlow(rate: number, overMs: number): AppError {
  const over = overMs % 60_000 === 0 ? `${overMs / 60_000} minutes` : `${overMs / 1000} s`
  const bytes = Math.round(rate)
  return new AppError('TRANSFER_TOO_SLOW', `brought ${bytes} bytes/s over ${over}; gave its place to others`, {
    hint: 'It goes on by itself, from where it stood if the registry kept that. If that lasts, look at the registry and the way to it.',
    details: { bytesPerSecond: bytes },
  })
}

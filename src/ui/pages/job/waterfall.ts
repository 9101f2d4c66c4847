import type { Har } from '../../api/types.ts'

export interface WaterfallRow {
  readonly index: number
  readonly method: string
  readonly url: string
  /** Without what all have in common. */
  readonly path: string
  /** 0: there was no answer. */
  readonly status: number
  readonly failed: boolean
  readonly bytes: number
  readonly ms: number
  /** Percent of the whole span. */
  readonly start: number
  readonly width: number
  readonly phases: readonly { readonly name: string; readonly share: number }[]
}

const PHASES = [
  ['waiting', ['blocked']],
  ['connecting', ['dns', 'connect']],
  ['sending', ['send']],
  ['answering', ['wait']],
  ['receiving', ['receive']],
] as const

/** Requests over the time of all of them, each with what its time was spent on. -1 of HAR is: not so. */
export function waterfall({ log: { entries } }: Har): WaterfallRow[] {
  const starts = entries.map(({ startedDateTime }) => Date.parse(startedDateTime))
  const first = Math.min(...starts)
  const last = Math.max(...entries.map(({ time }, index) => (starts[index] ?? first) + time))
  const span = Math.max(last - first, 1)
  return entries.map(({ request, response, time, timings }, index) => {
    const spent: Readonly<Record<string, unknown>> = timings
    return {
      index,
      method: request.method,
      url: request.url,
      path: request.url.replace(/^https?:\/\/[^/]+/, ''),
      status: response.status,
      failed: response.status === 0 || response.status >= 400,
      bytes: Math.max(0, request.bodySize) + Math.max(0, response.bodySize),
      ms: time,
      start: (((starts[index] ?? first) - first) / span) * 100,
      width: (time / span) * 100,
      phases: PHASES.map(([name, parts]) => ({ name, share: sumOf(parts, spent) })).filter(({ share }) => share > 0),
    }
  })
}

function sumOf(names: readonly string[], spent: Readonly<Record<string, unknown>>): number {
  return names.reduce((sum, name) => {
    const ms = spent[name]
    return typeof ms === 'number' && ms > 0 ? sum + ms : sum
  }, 0)
}

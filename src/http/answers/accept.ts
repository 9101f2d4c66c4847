interface Range {
  type: string
  q: number
}

function ranges(accept: string): Range[] {
  return accept.split(',').map((part) => {
    const [type = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase())
    const q = parameters.find((parameter) => parameter.startsWith('q='))
    const weight = q === undefined ? 1 : Number(q.slice(2))
    return { type, q: Number.isFinite(weight) ? weight : 0 }
  })
}

function weightOf(all: readonly Range[], mediaType: string): number {
  const group = `${mediaType.split('/', 1)[0]}/*`
  // RFC 9110 12.5.1: the most specific range that matches decides.
  for (const type of [mediaType, group, '*/*']) {
    const range = all.find((one) => one.type === type)
    if (range) return range.q
  }
  return 0
}

/**
 * The one of `offered` (best first) that the Accept header likes most; the first where there is no header, undefined
 * where none is acceptable. Source: RFC 9110 12.5.1.
 */
export function chooseMediaType<T extends string>(accept: string | undefined, offered: readonly T[]): T | undefined {
  if (accept === undefined || accept.trim() === '') return offered[0]
  const all = ranges(accept)
  const weights = offered.map((mediaType) => weightOf(all, mediaType))
  const best = Math.max(...weights)
  return best > 0 ? offered[weights.indexOf(best)] : undefined
}

/** Whether the header names this type itself, and not just by a wildcard. */
export function acceptsByName(accept: string | undefined, mediaType: string): boolean {
  return ranges(accept ?? '').some((range) => range.type === mediaType && range.q > 0)
}

import type { Range } from '../../content/ranges.ts'

/** What one stream brings. */
export interface Claim {
  readonly start: number
  /** How far it has come. */
  at: number
  end: number
  /** How far it was to go at first. */
  readonly limit: number
}

/** Which bytes of a blob are there, and who brings the others: no byte is claimed twice. */
export class RangePlan {
  readonly #size: number
  /** Sorted; those that touch are one. */
  #there: Range[] = []
  readonly #claims = new Set<Claim>()

  constructor(size: number, there: readonly Range[]) {
    this.#size = size
    for (const range of there) this.add(range)
  }

  /** Where the first byte is missing. */
  get prefix(): number {
    const [first] = this.#there
    return first?.start === 0 ? first.end : 0
  }

  /** The first bytes that nobody brings, at most `most` of them. */
  claim(most = Infinity): Claim | undefined {
    const start = this.#occupied().reduce((at, range) => (range.start <= at ? Math.max(at, range.end) : at), 0)
    if (start >= this.#size) return undefined
    const end = Math.min(start + most, this.#nextAfter(start))
    const claim = { start, at: start, end, limit: end }
    this.#claims.add(claim)
    return claim
  }

  /** Lets others have what comes more than `ahead` bytes after where it stands. */
  shorten(claim: Claim, ahead: number): void {
    claim.end = Math.min(claim.end, claim.at + ahead)
  }

  /** Takes back what nobody else brings. */
  lengthen(claim: Claim): void {
    claim.end = Math.min(claim.limit, this.#nextAfter(claim.start))
  }

  release(claim: Claim): void {
    this.#claims.delete(claim)
  }

  add(range: Range): void {
    if (range.end > range.start) this.#there = mergeRanges([...this.#there, range])
  }

  #occupied(): Range[] {
    return [...this.#there, ...this.#claims].toSorted((a, b) => a.start - b.start)
  }

  #nextAfter(start: number): number {
    const later = this.#occupied().filter((range) => range.start > start)
    return later[0]?.start ?? this.#size
  }
}

/** Sorted, those that overlap or touch as one. */
export function mergeRanges(ranges: readonly Range[]): Range[] {
  const merged: Range[] = []
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    const last = merged.at(-1)
    if (last && range.start <= last.end)
      merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, range.end) }
    else merged.push(range)
  }
  return merged
}

export function rangeBytes(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0)
}

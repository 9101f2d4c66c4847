/** Random choices that a seed repeats. Source: mulberry32. */
export interface Draws {
  /** 0 to most - 1. */
  upTo(most: number): number
  one<T>(of: readonly T[]): T
  /** True once in so many times. */
  oneIn(times: number): boolean
}

export function createDraws(seed: number): Draws {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d_2b_79_f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const upTo = (most: number) => Math.floor(next() * most)
  return { upTo, one: (of) => of[upTo(of.length)] as (typeof of)[number], oneIn: (times) => upTo(times) === 0 }
}

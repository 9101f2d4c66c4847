import type { Replaced } from '../redis/kept-hash.ts'
import type { Vault } from './credentials.ts'

export interface Resealed {
  /** That were sealed anew. */
  readonly resealed: number
  /** Under an older key still: somebody else wrote them meanwhile, or they do not open. */
  readonly older: number
  /** Those of them that do not open: their key is gone. */
  readonly lost: readonly string[]
}

/** Seals under the newest key what is kept under an older one. What others see of it stays as it is. */
export async function resealAll<T>(
  kept: readonly T[],
  vault: Pick<Vault, 'isNewest'>,
  each: {
    nameOf: (one: T) => string
    /** All that is sealed of it. */
    sealedOf: (one: T) => ReadonlyArray<string | null>
    /** Throws where it does not open. */
    anew: (one: T) => T
    replace: (before: T, next: T) => Promise<Replaced>
  },
): Promise<Resealed> {
  const isOlder = (text: string | null): boolean => text !== null && !vault.isNewest(text)
  const outdated = kept.filter((one) => each.sealedOf(one).some(isOlder))
  const lost: string[] = []
  let resealed = 0
  for (const one of outdated) {
    const next = attempt(() => each.anew(one))
    if (next === undefined) lost.push(each.nameOf(one))
    else if ((await each.replace(one, next)) === 'done') resealed += 1
  }
  return { resealed, older: outdated.length - resealed, lost }
}

function attempt<T>(task: () => T): T | undefined {
  try {
    return task()
  } catch {
    return undefined
  }
}

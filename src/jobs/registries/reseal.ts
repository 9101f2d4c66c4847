import type { Vault } from '../record/credentials.ts'
import { type Kept, type KeptRegistries, parsed } from './kept-registries.ts'

export interface Resealed {
  /** That were sealed anew. */
  readonly resealed: number
  /** Under an older key still: somebody else wrote them meanwhile, or they do not open. */
  readonly older: number
  /** Those of them that do not open: their key is gone. */
  readonly lost: readonly string[]
}

/** Seals under the newest key what is kept under an older one. What others see of it stays as it is. */
export async function resealAll(
  kept: KeptRegistries,
  vault: Vault,
  sealedAnew: (one: Kept) => Partial<Kept>,
): Promise<Resealed> {
  await kept.refresh()
  const isOlder = (text: string | null): boolean => text !== null && !vault.isNewest(text)
  const outdated = kept.all().filter(({ sealed, sealedWay }) => isOlder(sealed) || isOlder(sealedWay))
  const lost: string[] = []
  let resealed = 0
  for (const one of outdated) {
    const next = attempt(() => sealedAnew(one))
    if (next === undefined) lost.push(one.host)
    else if ((await kept.replace(one.host, one, withNew(one, next))) === 'done') resealed += 1
  }
  return { resealed, older: outdated.length - resealed, lost }
}

function withNew({ text: _text, ...record }: Kept, changes: Partial<Kept>): Kept {
  return parsed(JSON.stringify({ ...record, ...changes }))
}

function attempt<T>(task: () => T): T | undefined {
  try {
    return task()
  } catch {
    return undefined
  }
}

import type { Transfer } from '../../api/types.ts'

export const LAYER_SORTS = ['active', 'largest', 'in order'] as const
export type LayerSort = (typeof LAYER_SORTS)[number]

export const LAYER_GROUPS = ['all', 'moving', 'waiting', 'failed', 'done'] as const
export type LayerGroup = (typeof LAYER_GROUPS)[number]

const GROUP_OF: Readonly<Record<string, LayerGroup>> = {
  active: 'moving',
  verifying: 'moving',
  retrying: 'moving',
  waiting: 'waiting',
  failed: 'failed',
  canceled: 'failed',
  exists: 'done',
  mounted: 'done',
  complete: 'done',
}

const RANK: readonly (LayerGroup | undefined)[] = ['failed', 'moving', 'waiting', 'done']

export interface Arrangement {
  readonly sort: LayerSort
  readonly group: LayerGroup
  readonly text: string
}

export function groupOf({ state }: Transfer): LayerGroup {
  return GROUP_OF[state] ?? 'waiting'
}

/** Those that are wanted, in the wanted order. */
export function arranged(layers: readonly Transfer[], { sort, group, text }: Arrangement): readonly Transfer[] {
  const wanted = text.trim().toLowerCase()
  const kept = layers.filter(
    (layer) =>
      (group === 'all' || groupOf(layer) === group) &&
      (wanted === '' || layer.title.toLowerCase().includes(wanted) || layer.digest.includes(wanted)),
  )
  if (sort === 'in order') return kept
  const bySize = (a: Transfer, b: Transfer) => b.size - a.size
  if (sort === 'largest') return kept.toSorted(bySize)
  return kept.toSorted((a, b) => RANK.indexOf(groupOf(a)) - RANK.indexOf(groupOf(b)) || bySize(a, b))
}

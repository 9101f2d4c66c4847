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

const RANK: readonly LayerGroup[] = ['failed', 'moving', 'waiting', 'done']

export interface Arrangement {
  readonly sort: LayerSort
  readonly group: LayerGroup
  readonly text: string
}

export function groupOf({ state }: Transfer): LayerGroup {
  return GROUP_OF[state] ?? 'waiting'
}

/** Gives those that are wanted, in the wanted order. Sizes stay while states change, so it sorts by them once. */
export function createArranger(): (layers: readonly Transfer[], arrangement: Arrangement) => readonly Transfer[] {
  let sizes: readonly number[] = []
  let largestFirst: readonly number[] = []
  const inOrderOfSize = (layers: readonly Transfer[]): readonly Transfer[] => {
    if (layers.length !== sizes.length || layers.some(({ size }, at) => size !== sizes[at])) {
      const known = layers.map(({ size }) => size)
      sizes = known
      largestFirst = [...known.keys()].toSorted((a, b) => (known[b] ?? 0) - (known[a] ?? 0) || a - b)
    }
    return largestFirst.flatMap((at) => layers[at] ?? [])
  }
  return (layers, { sort, group, text }) => {
    const ordered = sort === 'in order' ? layers : inOrderOfSize(layers)
    const kept = ordered.filter(isWanted(group, text.trim().toLowerCase()))
    if (sort !== 'active') return kept
    return RANK.flatMap((rank) => kept.filter((layer) => groupOf(layer) === rank))
  }
}

function isWanted(group: LayerGroup, text: string): (layer: Transfer) => boolean {
  return (layer) =>
    (group === 'all' || groupOf(layer) === group) &&
    (text === '' || layer.title.toLowerCase().includes(text) || layer.digest.includes(text))
}

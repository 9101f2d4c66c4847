import { registryPlaceId } from '../../../content/reference.ts'
import type { CatalogueSource, CatalogueState } from '../../../jobs/model/catalogue.ts'
import type { CatalogRegistry } from '../../schemas/catalog/catalog.ts'

type Told = Omit<CatalogRegistry, 'id' | 'host' | 'source' | 'repositories' | 'refreshSeconds' | 'updatedAt'>

/** How far the catalogue of a registry is. */
export function toldState(state: CatalogueState): Told {
  const { phase, failure, finishedAt, startedAt, nextAt, problems, truncated, waiting, problemCount } = state
  const isBusy = phase !== 'idle'
  const idle = failure ? 'failed' : finishedAt === null ? 'waiting' : 'ready'
  return {
    state: isBusy ? 'refreshing' : idle,
    repositoryCount: state.repositories,
    tagCount: state.tags,
    waiting,
    truncated,
    startedAt: timeOf(startedAt),
    refreshedAt: timeOf(finishedAt),
    nextAt: isBusy ? null : timeOf(nextAt),
    error: failure,
    problems: [...problems],
    problemCount,
  }
}

export function toldRegistry(source: CatalogueSource, state: CatalogueState): CatalogRegistry {
  const { revision: _revision, host, repositories, ...settings } = source
  const place = { id: registryPlaceId(host), host }
  return { ...place, ...settings, repositories: repositories && [...repositories], ...toldState(state) }
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

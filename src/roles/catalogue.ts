import { type Refresher, startRefresher } from '../catalogue/refresh/refresher.ts'
import { type CatalogueRecords, createCatalogueRecords } from '../jobs/catalogue/catalogue.ts'
import type { RoleContext } from './context.ts'
import type { queueOptions } from './parts.ts'
import type { RegistryClients } from './registry-clients.ts'

export interface OpenedCatalogue {
  readonly records: CatalogueRecords
  close(): Promise<void>
}

/** The catalogue, kept up to date from when Redis is joined until it is closed, with the daemon's own credentials. */
export function openCatalogue(
  { config, logger }: RoleContext,
  shared: ReturnType<typeof queueOptions>,
  { clientFor, joining }: { clientFor: RegistryClients; joining: Promise<boolean> },
): OpenedCatalogue {
  const records = createCatalogueRecords({ ...shared, role: 'starting', logger })
  let closed = false
  let refresher: Refresher | undefined
  const start = (isJoined: boolean): void => {
    if (!isJoined || closed) return
    refresher = startRefresher({
      records,
      clientFor: (signal) => clientFor({ credentials: undefined, plainHttp: false, signal }),
      limits: config.catalogLimits,
      logger,
    })
  }
  // Why it was not joined is told elsewhere.
  joining.then(start, () => undefined)
  return {
    records,
    async close() {
      closed = true
      await refresher?.stop()
      await records.close()
    },
  }
}

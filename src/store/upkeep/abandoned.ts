import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoreLayout } from '../files/layout.ts'
import type { StoreLocks } from '../locks/locks.ts'

/**
 * Takes away what processes left that were killed between two steps: records and indexes half written, locks. The caller
 * holds the store's lock, as those do who write records. Partial blobs stay: somebody goes on with them.
 */
export async function sweepAbandoned(layout: StoreLayout, locks: Pick<StoreLocks, 'sweep'>): Promise<void> {
  for (const folder of [layout.folder, layout.packages]) {
    for (const name of await readdir(folder)) {
      if (name.endsWith('.tmp')) await rm(join(folder, name), { force: true })
    }
  }
  await locks.sweep()
}

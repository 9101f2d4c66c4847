import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoreLayout } from '../files/layout.ts'
import { ABANDONED_PREFIX, ownershipOf, removeAbandoned } from '../locks/owned-file.ts'

/**
 * Takes away what processes left that were killed between two steps: records and indexes half written, locks of blobs on
 * their way in. The caller holds the store's lock, as those do who write records. Partial blobs stay: somebody goes on
 * with them.
 */
export async function sweepAbandoned(layout: StoreLayout): Promise<void> {
  for (const folder of [layout.folder, layout.packages]) {
    for (const name of await readdir(folder)) {
      if (name.endsWith('.tmp')) await rm(join(folder, name), { force: true })
    }
  }
  for (const folder of [layout.folder, layout.ingests, layout.leases]) {
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      const aside = name.startsWith(ABANDONED_PREFIX)
      if (!aside && !(folder === layout.ingests && name.endsWith('.lock'))) continue
      const ownership = await ownershipOf(path)
      if (ownership.state !== 'abandoned') continue
      await (aside ? rm(path, { force: true, recursive: true }) : removeAbandoned(path, ownership.text))
    }
  }
}

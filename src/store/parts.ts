import type { Clock } from '../lib/clock.ts'
import type { Limiter } from '../lib/limiter.ts'
import type { KeepFree } from './files/disk.ts'
import type { StoreLayout } from './files/layout.ts'
import { contentsOf } from './index/contents.ts'
import type { PackageRecords, StoredPackage } from './index/records.ts'
import type { StoreLocks } from './locks/locks.ts'
import { collect, type GcOptions, type GcReport } from './upkeep/gc.ts'

/** What a store is made of. */
export interface Parts {
  layout: StoreLayout
  locks: StoreLocks
  records: PackageRecords
  /** This process's own callers wait here, others' at the file. */
  turns: Limiter
  clock: Clock
  keepFree: KeepFree
}

/** The caller holds the store's lock. */
export async function collectWith({ layout, locks, records }: Parts, options?: GcOptions): Promise<GcReport> {
  // A record that can't be read may name anything: nothing goes until it is mended.
  if ((await records.broken()).length > 0) return { removedBlobs: 0, removedIngests: 0, freedBytes: 0 }
  const contents = async (record: StoredPackage) => {
    // What no pull of it brought is held by those who did bring it.
    const lacks = new Set<string>(record.lacks)
    return (await contentsOf(layout, record))?.filter(({ digest }) => !lacks.has(digest))
  }
  return collect({ layout, locks, packages: await records.list(), contentsOf: contents }, options)
}

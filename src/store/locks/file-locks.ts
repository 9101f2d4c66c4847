import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoreLayout } from '../files/layout.ts'
import { lockFile, tryLockFile } from './file-lock.ts'
import { readHolds, readLeases, writeHold, writeLease } from './lease.ts'
import type { StoreLocks } from './locks.ts'
import { ABANDONED_PREFIX, ownershipOf, removeAbandoned } from './owned-file.ts'
import { joinUsers, lockForRepair } from './users.ts'

/** The locks of a store whose processes share its folder: names in it that only one can take (owned-file.ts). */
export function createFileLocks(layout: StoreLayout): StoreLocks {
  const ingestLock = (ingest: string) => join(layout.ingests, `${ingest}.lock`)
  return {
    exclusive: () => lockFile(layout.lock),
    tryIngest: (ingest) => tryLockFile(ingestLock(ingest)),
    ingest: (ingest, options) => lockFile(ingestLock(ingest), options),
    isIngesting: async (ingest) => (await ownershipOf(ingestLock(ingest))).state === 'held',
    lease: (blobs) => writeLease(layout, blobs),
    leased: (options) => readLeases(layout, options),
    hold: (file) => writeHold(layout, file),
    held: (options) => readHolds(layout, options),
    join: () => joinUsers(layout),
    repair: () => lockForRepair(layout),
    sweep: () => sweepAbandoned(layout),
  }
}

/** Names moved aside to be taken away, and locks of blobs on their way in; leases and users are swept where they are read. */
async function sweepAbandoned(layout: StoreLayout): Promise<void> {
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

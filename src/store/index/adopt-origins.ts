import { rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Digest } from '../../content/digest.ts'
import { parseReference } from '../../content/reference.ts'
import { syncFolder } from '../../lib/atomic-file.ts'
import { makeFolders } from '../../lib/make-folders.ts'
import type { StoreLayout } from '../files/layout.ts'
import type { StoreLocks } from '../locks/locks.ts'
import { addOrigins, originName } from '../origins/origins.ts'
import { contentsOf, missingBlobs } from './contents.ts'
import type { PackageRecords } from './records.ts'

/**
 * Where blobs came from, for a store of a version that did not write it down: once, from its packages. Each names the places that it
 * was pulled from, and what is there of it counts as brought from those, so that nothing is fetched again; what is not
 * there it lacks. The folder gets its name when it is whole.
 */
export async function adoptOrigins(
  layout: StoreLayout,
  locks: Pick<StoreLocks, 'exclusive'>,
  records: Pick<PackageRecords, 'list' | 'put'>,
): Promise<void> {
  if (await isThere(layout.originFolder)) return
  await using _lock = await locks.exclusive()
  if (await isThere(layout.originFolder)) return
  const unfinished = `${layout.originFolder}.new`
  await rm(unfinished, { recursive: true, force: true })
  await makeFolders(unfinished)
  for (const [digest, names] of await originsByRecords(layout, records)) {
    await addOrigins(join(unfinished, basename(layout.origins(digest))), [...names])
  }
  await rename(unfinished, layout.originFolder)
  await syncFolder(layout.folder)
}

async function originsByRecords(
  layout: StoreLayout,
  records: Pick<PackageRecords, 'list' | 'put'>,
): Promise<ReadonlyMap<Digest, ReadonlySet<string>>> {
  const origins = new Map<Digest, Set<string>>()
  for (const record of await records.list()) {
    const contents = (await contentsOf(layout, record)) ?? []
    const missing = new Set((await missingBlobs(layout, contents)).map(({ digest }) => digest))
    const names = record.references.flatMap(placeOf)
    for (const { digest } of contents) {
      if (missing.has(digest)) continue
      const known = origins.get(digest) ?? new Set<string>()
      origins.set(digest, known)
      for (const name of names) known.add(name)
    }
    if (missing.size > 0) await records.put({ ...record, lacks: [...missing] })
  }
  return origins
}

function placeOf(reference: string): string[] {
  try {
    return [originName(parseReference(reference))]
  } catch {
    return []
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '../../lib/atomic-file.ts'
import { AppError } from '../../lib/errors.ts'
import type { StoreLocks } from '../locks/locks.ts'
import type { StoreLayout } from '../files/layout.ts'
import { makeFolders } from '../../lib/make-folders.ts'
import { adoptOrigins } from './adopt-origins.ts'
import type { PackageRecords } from './records.ts'

/** Source: OCI image-spec v1.1.1 image-layout.md "oci-layout file". */
const OCI_LAYOUT_TEXT = '{"imageLayoutVersion":"1.0.0"}'

/** Makes the folders; several processes may do so at once. Throws STORE_CORRUPT for a layout of another version. */
export async function prepareLayout(
  layout: StoreLayout,
  locks: Pick<StoreLocks, 'exclusive'>,
  records: PackageRecords,
): Promise<void> {
  const folders = [...layout.blobFolders, layout.packages, layout.ingests, layout.leases, layout.users]
  await Promise.all(folders.map((folder) => makeFolders(folder)))
  await prepareMarker(layout, locks)
  await adoptOrigins(layout, locks, records)
}

async function prepareMarker(layout: StoreLayout, locks: Pick<StoreLocks, 'exclusive'>): Promise<void> {
  const marker = join(layout.folder, 'oci-layout')
  const version = layoutVersion(await readFile(marker, 'utf8').catch(() => ''))
  if (version === '1.0.0') return
  // The file is a constant: one that is missing or garbled is simply written again.
  if (version === undefined) {
    await using _lock = await locks.exclusive()
    return await writeFileAtomic(marker, OCI_LAYOUT_TEXT)
  }
  throw new AppError('STORE_CORRUPT', `${layout.folder} is an OCI image layout of version ${version}, not 1.0.0`, {
    hint: 'Point LAYERD_DATA_DIR at a folder of its own.',
  })
}

function layoutVersion(text: string): string | undefined {
  try {
    const { imageLayoutVersion } = JSON.parse(text) as { imageLayoutVersion?: unknown }
    return typeof imageLayoutVersion === 'string' ? imageLayoutVersion.slice(0, 40) : undefined
  } catch {
    return undefined
  }
}

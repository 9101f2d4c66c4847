import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from '../../lib/atomic-file.ts'
import { shareContent } from '../equal-content.ts'
import { isUploadId, RECORD, type Upload } from './upload-rules.ts'

/** The whole upload of this id, if there is one. */
export async function readWhole(folder: string, id: string): Promise<Upload | undefined> {
  // Also keeps an id from climbing out of the folder.
  if (!isUploadId(id)) return undefined
  try {
    return JSON.parse(await readFile(join(folder, id, RECORD), 'utf8')) as Upload
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Makes what came in whole, in the folder `from`, an upload that all see. On disk for good once it resolves. `mayRename` may throw at the last moment. */
export async function keepWhole(
  folder: string,
  from: string,
  upload: Upload,
  mayRename: () => void = () => undefined,
): Promise<void> {
  await shareContent(join(from, upload.name), await filesWith(folder, upload))
  await writeFile(join(from, RECORD), JSON.stringify(upload), { mode: 0o600, flush: true })
  await syncFolder(from)
  mayRename()
  await rename(from, join(folder, upload.id))
  await syncFolder(folder)
}

/** Those of other uploads of the same sender with the same bytes: by time and disk anybody could tell what others have sent. */
async function filesWith(folder: string, { sha256, size, principal }: Upload): Promise<string[]> {
  const others = await Promise.all((await readdir(folder)).map((entry) => readWhole(folder, entry)))
  return others
    .filter((other) => other?.sha256 === sha256 && other.size === size && other.principal === principal)
    .map((other) => join(folder, other?.id ?? '', other?.name ?? ''))
}

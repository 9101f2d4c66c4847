import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from '../../lib/atomic-file.ts'
import { AppError } from '../../lib/errors.ts'
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

/** Records that are read at once: all processes of a machine share its disk, and each has four threads for it. */
const AT_ONCE = 32

/** The whole uploads of a folder. What is kept of one never changes, so a process reads it once, however often all are asked for. */
export class WholeUploads {
  readonly #folder: string
  readonly #perPrincipal: number
  #known: ReadonlyMap<string, Upload> = new Map()

  constructor({ folder, perPrincipal }: { folder: string; perPrincipal: number }) {
    this.#folder = folder
    this.#perPrincipal = perPrincipal
  }

  /** All, in no order. */
  async all(): Promise<Upload[]> {
    const known = this.#known
    const ids = (await readdir(this.#folder)).filter(isUploadId)
    const unread = ids.filter((id) => !known.has(id))
    const found = new Map(ids.flatMap((id) => pairOf(id, known.get(id))))
    for (let at = 0; at < unread.length; at += AT_ONCE) {
      const some = unread.slice(at, at + AT_ONCE)
      const read = await Promise.all(some.map((id) => readWhole(this.#folder, id)))
      for (const [nth, id] of some.entries()) for (const [, upload] of pairOf(id, read[nth])) found.set(id, upload)
    }
    this.#known = found
    return [...found.values()]
  }

  /** Throws UPLOADS_TOO_MANY where the principal has as many as one may have. */
  async requirePlace(principal = 'anonymous'): Promise<void> {
    const most = this.#perPrincipal
    const own = (await this.all()).filter((upload) => (upload.principal ?? 'anonymous') === principal).length
    if (own < most) return
    throw new AppError('UPLOADS_TOO_MANY', `${principal} has ${own} uploads, and no more are taken`, {
      hint: 'Delete some (DELETE /v1/uploads/{id}); each goes by itself 24 h after its last use.',
      details: { open: own, maxOpen: most },
    })
  }

  /** Makes what came in whole, in the folder `from`, an upload that all see. On disk for good once it resolves. `mayRename` may throw at the last moment. */
  async keep(from: string, upload: Upload, mayRename: () => void = () => undefined): Promise<void> {
    await shareContent(join(from, upload.name), await this.#filesWith(upload))
    await writeFile(join(from, RECORD), JSON.stringify(upload), { mode: 0o600, flush: true })
    await syncFolder(from)
    mayRename()
    await rename(from, join(this.#folder, upload.id))
    await syncFolder(this.#folder)
  }

  /** Those of other uploads of the same sender with the same bytes: by time and disk anybody could tell what others have sent. */
  async #filesWith({ sha256, size, principal }: Upload): Promise<string[]> {
    return (await this.all())
      .filter((other) => other.sha256 === sha256 && other.size === size && other.principal === principal)
      .map((other) => join(this.#folder, other.id, other.name))
  }
}

function pairOf(id: string, upload: Upload | undefined): Array<[string, Upload]> {
  return upload ? [[id, upload]] : []
}

import type { ByteStream } from '../content/endpoints.ts'
import type { OpenedFile } from '../content/opened.ts'
import { AppError, isAppError, withContext } from '../lib/errors.ts'
import { createBreathing } from '../lib/loop/breathe.ts'
import { plainTarEntries, type TarEntry } from './archive/tar-entries.ts'
import { FileTarInput, StreamTarInput } from './archive/tar-input.ts'

/** A file in a tar that lies in a package: in sboms.tar, documentation.tar, a component's tar. */
export type InnerFile = TarEntry

/** What a tar of a package holds. Of several files with one name the last counts, as for those who unpack it. */
export interface InnerFiles {
  readonly files: ReadonlyMap<string, InnerFile>
  /** The content of those that were to be kept, each whole. */
  readonly kept: ReadonlyMap<string, Buffer>
}

export interface InnerOptions {
  /** The tar's title, for errors. */
  title: string
  /** Whether a file's content is wanted along with the list; what goes beyond MAX_KEPT_BYTES is left out. */
  keep?: (file: InnerFile) => boolean
}

/** A component may carry a git repository, with a file for each object. */
export const MAX_INNER_FILES = 10_000
/** Each costs its asker a read, of a remote package a request. */
export const MAX_HOPS = 1000
export const MAX_KEPT_BYTES = 8 * 2 ** 20
/** Between large files a window brings one header alone, so it is small. */
const HOP_BYTES = 16 * 1024

/**
 * Lists a tar by hopping from header to header. Only plain files are told: links, devices and names that lead out of the
 * folder are passed over. Throws PACKAGE_INVALID, PACKAGE_TRUNCATED, PACKAGE_TOO_LARGE beyond 10,000 files or 1,000 reads, and
 * what `read` throws.
 */
export async function listInnerFiles(
  file: Pick<OpenedFile, 'size' | 'read'>,
  options: InnerOptions,
): Promise<InnerFiles> {
  let hops = 0
  const counted = {
    size: file.size,
    read(target: Buffer, offset: number) {
      hops += 1
      if (hops > MAX_HOPS) throw tooMany(options.title, `needs more than ${MAX_HOPS} reads to be listed`, MAX_HOPS)
      return file.read(target, offset)
    },
  }
  return await collect(new FileTarInput(counted, HOP_BYTES), options)
}

/** The same of a tar that goes by, up to its end mark. */
export async function listPassingFiles(stream: ByteStream, options: InnerOptions): Promise<InnerFiles> {
  const input = new StreamTarInput(stream)
  try {
    return await collect(input, options)
  } finally {
    await input.close()
  }
}

async function collect(
  input: FileTarInput | StreamTarInput,
  { title, keep = () => false }: InnerOptions,
): Promise<InnerFiles> {
  const files = new Map<string, InnerFile>()
  const kept = new Map<string, Buffer>()
  let bytes = 0
  const breathe = createBreathing()
  try {
    for await (const entry of plainTarEntries(input)) {
      await breathe()
      files.set(entry.path, entry)
      kept.delete(entry.path)
      if (files.size > MAX_INNER_FILES) {
        throw tooMany(title, `holds more than ${MAX_INNER_FILES} files`, MAX_INNER_FILES)
      }
      if (!keep(entry) || bytes + entry.size > MAX_KEPT_BYTES) continue
      bytes += entry.size
      kept.set(entry.path, await input.take(entry.size))
    }
  } catch (error) {
    throw at(title, error)
  }
  return { files, kept }
}

function tooMany(title: string, why: string, limit: number): AppError {
  return new AppError('PACKAGE_TOO_LARGE', `${title} ${why}`, {
    hint: 'Pull the package and look into its archive.',
    details: { path: title, limit },
  })
}

/** An error of the tar, which does not know that it lies in a package. */
function at(title: string, error: unknown): unknown {
  if (!isAppError(error) || (error.code !== 'PACKAGE_INVALID' && error.code !== 'PACKAGE_TRUNCATED')) return error
  const { code, message, hint } = withContext(error, { hint: 'The package was put together wrongly: create it again.' })
  return new AppError(code, `${title}: ${message}`, {
    cause: error,
    details: { ...error.details, path: title },
    ...(hint === undefined ? {} : { hint }),
  })
}

import { closeSource, type OpenedSource } from '../content/opened.ts'
import { AppError } from '../lib/errors.ts'
import { type IndexedBundle, openIndexedBundle } from './archive/indexed-bundle.ts'
import { StreamedBundle } from './archive/streamed-bundle.ts'

export type { IndexedBundle } from './archive/indexed-bundle.ts'
export type { StreamedBundle } from './archive/streamed-bundle.ts'
export type OpenedBundle = IndexedBundle | StreamedBundle

export function isOpenedBundle(opened: { readonly kind: string }): opened is OpenedBundle {
  return opened.kind === 'indexed-bundle' || opened.kind === 'streamed-bundle'
}

/**
 * Opens a bundle's archive (isBundleArchive): of a `.tar` the whole structure is checked, a `.tar.zst` is checked as it is
 * read. The source belongs to the bundle from here on and is closed with it, also when this throws. Throws PACKAGE_*,
 * MANIFEST_*, DIGEST_MISMATCH.
 */
export async function openBundle(
  source: OpenedSource,
  { signal, maxWindowBytes }: { signal: AbortSignal; maxWindowBytes?: number },
): Promise<OpenedBundle> {
  try {
    const { fileName } = source
    if ('folder' in source) throw isFolder(fileName)
    const { file, sequential = false } = source
    if (fileName.endsWith('.tar') && !sequential) return await openIndexedBundle(file, fileName, signal)
    return await StreamedBundle.open(file, fileName, {
      ...(maxWindowBytes === undefined ? {} : { maxWindowBytes }),
      ...(sequential ? { maxReaders: 1 } : {}),
    })
  } catch (error) {
    await closeSource(source)
    throw error
  }
}

function isFolder(fileName: string): AppError {
  return new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${fileName} is a folder; a bundle is read from its archive`, {
    details: { path: fileName },
  })
}

import type { Digest } from '../../content/digest.ts'
import { duplicateFile } from '../../zarf/contents/contents.ts'
import { type TarEntry, tarEntries, type TarInput } from '../../zarf/archive/tar-entries.ts'
import { atEntry } from '../../zarf/archive/tar-input.ts'
import { parseLayoutPath } from '../layout/layout-path.ts'

export interface BundleEntry extends TarEntry {
  /** Of a blob its digest, by its name: whether its bytes are so is another question. */
  readonly is: Digest | 'index' | 'layout'
}

/**
 * The entries of a bundle's archive in order. Throws PACKAGE_INVALID, PACKAGE_UNSAFE_PATH, PACKAGE_TOO_LARGE,
 * PACKAGE_TRUNCATED.
 */
export async function* bundleEntries(input: TarInput, fileName: string): AsyncGenerator<BundleEntry> {
  const paths = new Set<string>()
  let at: string | undefined
  try {
    for await (const entry of tarEntries(input)) {
      at = entry.path
      if (paths.has(at)) throw duplicateFile(at)
      paths.add(at)
      yield { ...entry, is: parseLayoutPath(entry, fileName) }
    }
  } catch (error) {
    throw atEntry(error, at)
  }
}

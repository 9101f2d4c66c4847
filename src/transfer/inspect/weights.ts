import type { InnerFiles } from '../../zarf/inner-files.ts'

/** What an entry of a map with a path of some length takes, about. */
const BYTES_PER_FILE = 256

export function innerBytes({ files, kept }: InnerFiles): number {
  let bytes = 0
  for (const path of files.keys()) bytes += BYTES_PER_FILE + path.length * 2
  for (const content of kept.values()) bytes += content.length
  return bytes
}

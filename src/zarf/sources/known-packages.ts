import type { PackageContents } from '../contents/types.ts'

/** Of all remembered packages together, as `weight` estimates it. */
const MAX_BYTES = 64 * 2 ** 20
const BYTES_PER_FILE = 1024
/** A definition's values, beside the text of the config blob that they were written to. */
const BYTES_PER_CONFIG_BYTE = 8

const known = new Map<string, PackageContents>()

/** What an earlier pass of this process learnt of the file of this identity (OpenedFile). A retry of a job then knows its plan at once. */
export function recall(identity: string): PackageContents | undefined {
  const contents = known.get(identity)
  if (contents) remember(identity, contents)
  return contents
}

export function remember(identity: string, contents: PackageContents): void {
  known.delete(identity)
  known.set(identity, contents)
  let bytes = 0
  for (const [key, each] of [...known].toReversed()) {
    bytes += weight(each)
    if (bytes > MAX_BYTES && key !== identity) known.delete(key)
  }
}

function weight({ files, config }: PackageContents): number {
  return files.length * BYTES_PER_FILE + config.bytes.length * BYTES_PER_CONFIG_BYTE
}

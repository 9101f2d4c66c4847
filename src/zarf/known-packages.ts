import type { BigIntStats } from 'node:fs'
import type { PackageContents } from './types.ts'

/** Files of all remembered packages together; about 1 KiB of memory each. */
const MAX_FILES = 50_000

const known = new Map<string, PackageContents>()

/** Which file this is and in what state: a changed file is another one. */
export function fileIdentity(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}`
}

/** What an earlier pass of this process learnt. A retry of a job then knows its plan at once. */
export function recall(identity: string): PackageContents | undefined {
  const contents = known.get(identity)
  if (contents) remember(identity, contents)
  return contents
}

export function remember(identity: string, contents: PackageContents): void {
  known.delete(identity)
  known.set(identity, contents)
  let files = 0
  for (const [key, { files: of }] of [...known].toReversed()) {
    files += of.length
    if (files > MAX_FILES && key !== identity) known.delete(key)
  }
}

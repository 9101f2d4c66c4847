import type { Dirent } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { hasUnseen } from '../../lib/text.ts'
import type { HeldFolder } from '../held-folder.ts'

export interface ListedEntry {
  readonly name: string
  readonly kind: 'file' | 'folder' | 'link'
}

export interface EntryChoice {
  /** The first that may be taken: entries before it in the order of names are passed over. Default: the first of all. */
  readonly from: string | undefined
  /** Whether one is worth to be kept. */
  readonly wanted: (entry: ListedEntry) => boolean
  /** Told of each that was looked at; throws to end it. */
  readonly onLooked: () => void
  /** How many are kept. */
  readonly most: number
}

export interface FirstEntries {
  /** By name, in the order of code units. */
  readonly entries: readonly ListedEntry[]
  /** Others follow behind the last one. */
  readonly more: boolean
}

const READ_AHEAD = 512

/**
 * The first of a folder's entries by name, however many there are: it is read through, a piece at a time, and no more than
 * twice `most` are held. Hidden ones are left out, and names that are no UTF-8 or hold characters that are obeyed rather than
 * seen. Throws what the file system throws.
 */
export async function firstEntries(
  folder: HeldFolder,
  { from, wanted, onLooked, most }: EntryChoice,
): Promise<FirstEntries> {
  let kept: ListedEntry[] = []
  let more = false
  const cut = () => {
    kept.sort((a, b) => (a.name < b.name ? -1 : 1))
    more ||= kept.length > most
    kept = kept.slice(0, most)
  }
  for await (const found of await opendir(folder.at(''), { bufferSize: READ_AHEAD })) {
    onLooked()
    const kind = kindOf(found)
    if (!kind || !isPlain(found.name) || (from !== undefined && found.name < from)) continue
    const entry = { name: found.name, kind }
    if (!wanted(entry)) continue
    kept.push(entry)
    if (kept.length >= 2 * most) cut()
  }
  cut()
  return { entries: kept, more }
}

/** What was no UTF-8 has the replacement character by now, and cannot be asked for. */
function isPlain(name: string): boolean {
  return !name.startsWith('.') && !name.includes('\u{fffd}') && !hasUnseen(name)
}

function kindOf(entry: Dirent): ListedEntry['kind'] | undefined {
  if (entry.isFile()) return 'file'
  if (entry.isDirectory()) return 'folder'
  return entry.isSymbolicLink() ? 'link' : undefined
}

import { lstat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { closeSource } from '../../content/opened.ts'
import { isAppError } from '../../lib/errors.ts'
import { isArchiveName } from '../archive-name.ts'
import type { HeldFolder } from '../held-folder.ts'
import { type FolderRoots, mayBeForeign, openInRoots, statInRoots } from '../local-source.ts'
import { parsePartName, readPartSet } from '../parts/part-set.ts'
import type { ListedEntry } from './folder-entries.ts'

/** By what a file name says; of `archive` it says nothing but that a job reads it. */
export type NamedKind = 'package' | 'init' | 'bundle' | 'archive'
export const LISTED_KINDS = ['package', 'init', 'bundle', 'split', 'folder', 'archive'] as const
export type ListedKind = (typeof LISTED_KINDS)[number]

/** What an archive's name tells; the package itself may say something else. */
export interface ToldByName {
  readonly name: string
  readonly architecture: string
  readonly version: string | null
}

/** Reads the file name of an archive. */
export type ReadName = (fileName: string) => { kind: NamedKind; told: ToldByName | null }

export interface ListedFile {
  readonly root: string
  /** Below the root, `/` between its parts; `''` is the root itself. */
  readonly path: string
  readonly kind: ListedKind
  /** Bytes; of a split package those of the whole, as part000 has them. Null where that is not known without reading more. */
  readonly size: number | null
  readonly modifiedAt: string
  readonly toldByName: ToldByName | null
}

/** What an entry of that name would be listed as; undefined: not at all. */
export function namedKind(fileName: string, readName: ReadName): ListedKind | undefined {
  if (isArchiveName(fileName)) return readName(fileName).kind
  const part = parsePartName(fileName)
  return part?.part === 0 && isArchiveName(part.whole) ? 'split' : undefined
}

export interface FilePlace extends FolderRoots {
  readonly root: string
  readonly path: string
}

/** A file, or where a link leads to inside the roots; undefined where a job would not read it. Throws what the file system throws. */
export async function listedFile(
  folder: HeldFolder,
  entry: ListedEntry,
  { place, readName }: { place: FilePlace; readName: ReadName },
): Promise<ListedFile | undefined> {
  const kind = namedKind(entry.name, readName)
  const { root, path } = place
  const spelled = join(root, path)
  const facts = await (entry.kind === 'link' ? statInRoots(spelled, place) : lstat(folder.at(entry.name)))
  if (kind === undefined || !facts.isFile() || mayBeForeign(facts)) return undefined
  const whole = kind === 'split' ? (parsePartName(entry.name)?.whole ?? '') : entry.name
  return {
    root,
    path,
    kind,
    size: kind === 'split' ? await wholeSize(spelled, place) : facts.size,
    modifiedAt: facts.mtime.toISOString(),
    toldByName: readName(whole).told,
  }
}

/** An unpacked package; undefined for any other folder. Throws what the file system throws. */
export async function listedFolder(
  folder: HeldFolder,
  { place: { root, path }, readName }: { place: FilePlace; readName: ReadName },
): Promise<ListedFile | undefined> {
  const [definition, checksums] = [await fileAt(folder, 'zarf.yaml'), await fileAt(folder, 'checksums.txt')]
  if (!definition || !checksums) return undefined
  // Named as the archive was that it is from, as far as that is the case.
  const { told } = readName(`${basename(join(root, path))}.tar`)
  return { root, path, kind: 'folder', size: null, modifiedAt: definition.mtime.toISOString(), toldByName: told }
}

async function fileAt(folder: HeldFolder, name: string) {
  const facts = await lstat(folder.at(name)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  return facts?.isFile() ? facts : undefined
}

async function wholeSize(path: string, roots: FolderRoots): Promise<number | null> {
  const source = await openInRoots(path, roots)
  try {
    return 'file' in source ? (await readPartSet(source.file)).bytes : null
  } catch (error) {
    if (!isAppError(error)) throw error
    return null
  } finally {
    await closeSource(source)
  }
}

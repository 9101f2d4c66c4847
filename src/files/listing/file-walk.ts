import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { throwIfAborted } from '../../lib/abort.ts'
import { isAppError } from '../../lib/errors.ts'
import { FOLDER, type HeldFolder, holdFolder, systemPaths } from '../held-folder.ts'
import type { FolderRoots } from '../local-source.ts'
import { firstEntries, type ListedEntry } from './folder-entries.ts'
import {
  type FilePlace,
  type ListedFile,
  type ListedKind,
  listedFile,
  listedFolder,
  namedKind,
  type ReadName,
} from './listed-file.ts'

/** What a page of the list may cost; where it is spent the page ends, and the next one goes on behind it. */
export interface WalkLimits {
  /** Entries of folders that are looked at. */
  readonly entries: number
  readonly withinMs: number
  /** Entries of one folder; a larger one is passed over. */
  readonly entriesOfFolder: number
  /** Of one folder that are held at once. */
  readonly kept: number
  /** Folders below a root. */
  readonly depth: number
}

export const WALK_LIMITS: WalkLimits = {
  entries: 250_000,
  withinMs: 3000,
  entriesOfFolder: 200_000,
  kept: 2000,
  depth: 16,
}

const MAX_SKIPPED = 50
/** Of a folder: a file in it has a path that systems open (4,096), and that a page token can hold. */
const MAX_PATH_BYTES = 3800

/** A place that was not looked into, and why. */
export interface SkippedPlace {
  readonly path: string
  readonly reason: string
}

export interface WalkOptions extends FolderRoots {
  readonly readName: ReadName
  readonly size: number
  readonly kinds: ReadonlySet<ListedKind>
  /** In lower case, a part of the path. */
  readonly text: string
  readonly limits: WalkLimits
  readonly signal: AbortSignal
}

/** Where a walk has come to: in which root, and the names on the way to what was done last; none: all of the root. */
export interface WalkPlace {
  readonly root: string
  readonly names: readonly string[]
}

export interface Walked {
  readonly items: readonly ListedFile[]
  readonly skipped: readonly SkippedPlace[]
  /** What was done last; absent where all was. */
  readonly next?: WalkPlace
}

/**
 * Walks through `roots` in the order of their names, from behind `after` on. Nothing outside is looked into: folders are opened
 * one in the other and held, no link to one is followed, and a link to a file as a job would. A walk that does no more than its
 * limits has done at least one entry. Throws the signal's reason.
 */
export async function walkRoots(
  roots: readonly string[],
  after: WalkPlace | undefined,
  options: WalkOptions,
): Promise<Walked> {
  const walk = new FileWalk(options)
  for (const root of roots.toSorted()) {
    if (after && (root < after.root || (root === after.root && after.names.length === 0))) continue
    await walk.root(root, root === after?.root ? after.names : undefined)
    if (walk.ended) break
  }
  const { items, skipped, ended, done = after } = walk
  return { items, skipped, ...(ended && done ? { next: done } : {}) }
}

class FileWalk {
  readonly items: ListedFile[] = []
  readonly skipped: SkippedPlace[] = []
  /** It ended before all was done. */
  ended = false
  done: WalkPlace | undefined
  readonly #options: WalkOptions
  readonly #startedAt = performance.now()
  #looked = 0

  constructor(options: WalkOptions) {
    this.#options = options
  }

  async root(root: string, after: readonly string[] | undefined): Promise<void> {
    const paths = this.#options.paths ?? systemPaths
    const hold = async () => holdFolder(await open(root, FOLDER), root, paths)
    await this.#enter({ root, names: [] }, { hold, after })
    if (!this.ended) this.done = { root, names: [] }
  }

  async #enter(
    place: WalkPlace,
    { hold, after }: { hold: () => Promise<HeldFolder>; after: readonly string[] | undefined },
  ): Promise<void> {
    await this.#unlessUnreadable(place, async () => {
      if (place.names.length > this.#options.limits.depth || pathBytes(place) > MAX_PATH_BYTES)
        throw new Unlooked('it lies too deep')
      await using folder = await hold()
      // What was listed as a package has nothing else in it.
      if (after === undefined) {
        const found = await listedFolder(folder, this.#told(place))
        if (found) return this.#add(found)
      }
      await this.#through(folder, place, after)
    })
  }

  async #through(folder: HeldFolder, place: WalkPlace, after: readonly string[] = []): Promise<void> {
    const [from, ...behind] = after
    const { entries, more } = await firstEntries(folder, {
      from,
      most: this.#options.limits.kept,
      wanted: (entry) => this.#isWanted(place, entry) && !(entry.name === from && behind.length === 0),
      onLooked: this.#counter(),
    })
    for (const entry of entries) {
      if (this.#isSpent()) this.ended = true
      if (this.ended) return
      const inner = { root: place.root, names: [...place.names, entry.name] }
      if (entry.kind === 'folder') {
        const hold = () => folder.folder(entry.name)
        await this.#enter(inner, { hold, after: entry.name === from ? behind : undefined })
      } else await this.#file(folder, inner, entry)
      if (this.ended) return
      this.done = inner
    }
    this.ended = more
  }

  async #file(folder: HeldFolder, place: WalkPlace, entry: ListedEntry): Promise<void> {
    await this.#unlessUnreadable(place, async () => {
      const found = await listedFile(folder, entry, this.#told(place))
      if (found) this.#add(found)
    })
  }

  #add(found: ListedFile): void {
    const { size, kinds } = this.#options
    if (!kinds.has(found.kind) || !this.#hasText(found.path)) return
    if (this.items.length === size) this.ended = true
    else this.items.push(found)
  }

  #isWanted({ names }: WalkPlace, { name, kind }: ListedEntry): boolean {
    if (kind === 'folder') return true
    const named = namedKind(name, this.#options.readName)
    return named !== undefined && this.#options.kinds.has(named) && this.#hasText([...names, name].join('/'))
  }

  #hasText(path: string): boolean {
    return path.toLowerCase().includes(this.#options.text)
  }

  #told({ root, names }: WalkPlace): { place: FilePlace; readName: ReadName } {
    const { readName, roots, paths } = this.#options
    return { place: { root, path: names.join('/'), roots, ...(paths ? { paths } : {}) }, readName }
  }

  /** Once something was done: a page that ends where it began would be asked for again for ever. */
  #isSpent(): boolean {
    const { entries, withinMs } = this.#options.limits
    return this.done !== undefined && (this.#looked > entries || performance.now() - this.#startedAt > withinMs)
  }

  #counter(): () => void {
    const { limits, signal } = this.#options
    let looked = 0
    return () => {
      throwIfAborted(signal)
      this.#looked += 1
      looked += 1
      if (looked > limits.entriesOfFolder) throw new Unlooked(`it has more than ${limits.entriesOfFolder} entries`)
    }
  }

  /** What has gone or became a link meanwhile is not there; what cannot be read is told. */
  async #unlessUnreadable(place: WalkPlace, look: () => Promise<void>): Promise<void> {
    throwIfAborted(this.#options.signal)
    try {
      await look()
    } catch (error) {
      throwIfAborted(this.#options.signal)
      const reason = reasonOf(error, place)
      if (reason === undefined || this.skipped.length >= MAX_SKIPPED) return
      this.skipped.push({ path: join(place.root, ...place.names), reason })
    }
  }
}

function pathBytes({ root, names }: WalkPlace): number {
  return Buffer.byteLength(join(root, ...names))
}

class Unlooked extends Error {}

const GONE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP'])

/** Why a place was passed over, as far as it is worth to be told. Throws what is no matter of the file system. */
function reasonOf(error: unknown, { names }: WalkPlace): string | undefined {
  if (error instanceof Unlooked) return error.message
  // As a job would be refused: it changed, leads outside, or is no package's part.
  if (isAppError(error)) return undefined
  const { code, syscall } = error as NodeJS.ErrnoException
  if (syscall === undefined) throw error
  if (names.length > 0 && GONE.has(code)) return undefined
  return code === 'ENOENT' ? 'it is not there' : `it cannot be read (${code ?? 'unknown reason'})`
}

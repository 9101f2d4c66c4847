import { realpath } from 'node:fs/promises'
import { resolve, sep } from 'node:path'
import { untilAborted } from '../../lib/abort.ts'
import { AppError } from '../../lib/errors.ts'
import { createFairLimiter } from '../../lib/queues/fair-limiter.ts'
import type { FolderRoots } from '../local-source.ts'
import { type SkippedPlace, WALK_LIMITS, type Walked, type WalkLimits, type WalkPlace, walkRoots } from './file-walk.ts'
import type { ListedFile, ListedKind, ReadName } from './listed-file.ts'

export interface FileQuery {
  /** The most that a page has. */
  readonly size: number
  /** `nextPageToken` of the page before. */
  readonly token?: string | undefined
  /** One of the roots; default: all. */
  readonly root?: string | undefined
  readonly kinds: ReadonlySet<ListedKind>
  /** A part of the path below the root, in any case; default: any. */
  readonly text?: string | undefined
}

export interface FilePage {
  readonly items: readonly ListedFile[]
  /** Places that were not looked into. */
  readonly skipped: readonly SkippedPlace[]
  readonly nextPageToken?: string
}

export interface FileListing {
  /** As they are set, absolute. */
  readonly roots: readonly string[]
  /**
   * A page of what lies in the roots. `by`: who asks; callers take turns. A file system that does not answer holds the places
   * of those who asked, and nobody else. Throws REQUEST_INVALID, the signal's reason.
   */
  list(query: FileQuery, who: { by: string; signal: AbortSignal }): Promise<FilePage>
}

/** Calls of a file system that hangs each hold one of Node's four threads: others of the process need some, too. */
const WALKS = 2

export function createFileListing({
  readName,
  fair,
  limits = WALK_LIMITS,
  ...folders
}: FolderRoots & {
  readName: ReadName
  /** Whether callers are known, so that one alone gets no more than its part. */
  fair: boolean
  limits?: WalkLimits
}): FileListing {
  const roots = [...new Set(folders.roots.map((root) => resolve(root)))]
  const walks = createFairLimiter({ all: WALKS, perKey: fair ? 1 : WALKS })
  return {
    roots,
    async list({ size, token, root, kinds, text = '' }, { by, signal }) {
      if (root !== undefined && !roots.includes(root)) throw noRoot(root)
      const after = token === undefined ? undefined : placeIn(token, roots)
      const walk = async (): Promise<Walked> => {
        const asked = root === undefined ? await outermost(roots) : [root]
        return await walkRoots(asked, after, {
          ...folders,
          readName,
          size,
          kinds,
          text: text.toLowerCase(),
          limits,
          signal,
        })
      }
      // The place is held for as long as the file system is asked; the caller is told when its time is over.
      const { next, ...page } = await untilAborted(walks.run(by, walk, signal), signal)
      return { ...page, ...(next ? { nextPageToken: tokenOf(next) } : {}) }
    },
  }
}

/** Without those that lie in others: what is there is found there. */
async function outermost(roots: readonly string[]): Promise<readonly string[]> {
  const real: Array<{ root: string; path: string }> = []
  for (const root of roots) real.push({ root, path: await realpath(root).catch(() => root) })
  const inside = (path: string, other: string) => path.startsWith(other.endsWith(sep) ? other : other + sep)
  return real
    .filter(
      ({ path }, at) => !real.some((other, before) => inside(path, other.path) || (other.path === path && before < at)),
    )
    .map(({ root }) => root)
}

function tokenOf({ root, names }: WalkPlace): string {
  return Buffer.from([root, ...names].join('\0')).toString('base64url')
}

function placeIn(token: string, roots: readonly string[]): WalkPlace {
  const [root = '', ...names] = Buffer.from(token, 'base64url').toString().split('\0')
  if (roots.includes(root)) return { root, names }
  throw new AppError('REQUEST_INVALID', 'the page token is not one that this list gave out', {
    hint: 'Pass nextPageToken of the page before as it is, or none for the first page.',
  })
}

function noRoot(root: string): AppError {
  return new AppError('REQUEST_INVALID', `${root.slice(0, 300)} is not one of the folders that are listed`, {
    hint: 'GET /v1/files tells them as "roots": those of LAYERD_FILE_ROOTS.',
  })
}

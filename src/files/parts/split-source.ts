import type { OpenedFile, OpenedSource } from '../../content/opened.ts'
import { AppError } from '../../lib/errors.ts'
import { mapInBatches } from '../../lib/loop/breathe.ts'
import { joinFiles } from './joined-file.ts'
import { checkSizes, findMisplaced, invalid, MAX_PARTS, parsePartName, partName, readPartSet } from './part-set.ts'

/** The files that lie beside part000. */
export interface Siblings {
  /** Opens the one of this name; throws where it cannot be read, and what `missing` makes where there is none. */
  open(name: string, missing: () => AppError): Promise<OpenedFile>
  /** Whether there is one of this name. */
  has(name: string): Promise<boolean>
}

/**
 * A source that is one part of a split package, joined with the others to what they were; any other as it is. Takes the
 * source over, and closes it when this throws. Count and sizes are checked; the hash of the whole is for who reads it (`whole`).
 * Throws PACKAGE_INVALID naming the part that is wrong, PACKAGE_FORMAT_UNSUPPORTED for another part than part000, and what
 * `siblings` throws.
 */
export async function joinParts(source: OpenedSource, siblings: Siblings): Promise<OpenedSource> {
  const named = parsePartName(source.fileName)
  if (!named || !('file' in source)) return source
  const { file: head } = source
  const opened = [head]
  try {
    if (named.part !== 0) throw notTheHead(source.fileName, named.whole)
    const set = await readPartSet(head)
    for (let part = 1; part <= set.count; part++) {
      const name = partName(named.whole, part)
      opened.push(await siblings.open(name, () => missing(name, source.fileName, set.count)))
    }
    await refuseMore(siblings, { ...named, head: source.fileName, count: set.count })
    const parts = opened.slice(1)
    checkSizes(set, parts)
    const joined = joinFiles(named.whole, parts)
    return {
      fileName: named.whole,
      file: { ...joined, [Symbol.asyncDispose]: () => closeAll(opened) },
      whole: {
        sha256: set.sha256,
        saidBy: source.fileName,
        suspect: () => findMisplaced(parts),
        piecesOf: (start, end) => joined.partsOf(start, end).map(({ name }) => name),
      },
    }
  } catch (error) {
    await closeAll(opened)
    throw error
  }
}

/** A part that nobody named belongs to another whole, of which others may be here. */
async function refuseMore(
  siblings: Siblings,
  { whole, head, count }: { whole: string; head: string; count: number },
): Promise<void> {
  const more = Array.from({ length: MAX_PARTS - count }, (_, index) => partName(whole, count + 1 + index))
  const there = await mapInBatches(more, (name) => siblings.has(name))
  const extra = more[there.indexOf(true)]
  if (extra !== undefined) throw invalid(extra, `is one part too many: ${head} names ${count}`)
}

async function closeAll(files: readonly OpenedFile[]): Promise<void> {
  await Promise.all(files.map((file) => file[Symbol.asyncDispose]()))
}

function notTheHead(fileName: string, whole: string): AppError {
  return new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${fileName} is one part of a split package`, {
    hint: `Name ${partName(whole, 0)}: it says how many parts there are, and they are found beside it.`,
    details: { path: fileName, pointer: '/source' },
  })
}

function missing(name: string, head: string, count: number): AppError {
  return new AppError('PACKAGE_NOT_FOUND', `there is no ${name}, one of the ${count} parts that ${head} names`, {
    hint: 'Put all parts into one folder, or upload each with PUT /v1/uploads/{file name}.',
    details: { path: name, pointer: '/source' },
  })
}

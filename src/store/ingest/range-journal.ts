import { appendFile, readFile, rm } from 'node:fs/promises'
import { mergeRanges, rangeBytes } from './range-plan.ts'
import type { Range } from '../../content/ranges.ts'
import { fileSize } from '../files/file-size.ts'

/**
 * Beside a partial file that has holes: the ranges that were written, a line each. A line follows its bytes, so that
 * whoever is killed leaves none that is not true; half a line tells less than the whole would.
 */
const SUFFIX = '.ranges'

export function isJournal(name: string): boolean {
  return name.endsWith(SUFFIX)
}

/** The partial file that a journal tells of. */
export function partialOf(journal: string): string {
  return journal.slice(0, -SUFFIX.length)
}

export async function appendRange(partial: string, { start, end }: Range): Promise<void> {
  await appendFile(`${partial}${SUFFIX}`, `${start} ${end}\n`)
}

export async function removeJournal(partial: string): Promise<void> {
  await rm(`${partial}${SUFFIX}`, { force: true })
}

/** Removes a partial file. Its journal goes first: alone it would be taken for the next file's. */
export async function removePartial(partial: string): Promise<void> {
  await removeJournal(partial)
  await rm(partial, { force: true })
}

/** What of a blob a partial file holds: all of it unless there is a journal. Undefined when there is no file. */
export async function writtenRanges(partial: string): Promise<Range[] | undefined> {
  const size = await fileSize(partial)
  if (size === undefined) return undefined
  const journal = await readFile(`${partial}${SUFFIX}`, 'utf8').catch(() => undefined)
  if (journal === undefined) return size === 0 ? [] : [{ start: 0, end: size }]
  return mergeRanges(journal.split('\n').flatMap((line) => parseLine(line, size)))
}

/** How many bytes of a blob a partial file holds. Undefined when there is none. */
export async function partialBytes(partial: string): Promise<number | undefined> {
  const ranges = await writtenRanges(partial)
  return ranges && rangeBytes(ranges)
}

function parseLine(line: string, size: number): Range[] {
  const [, start, end] = /^(\d+) (\d+)$/.exec(line) ?? []
  const range = { start: Number(start), end: Math.min(Number(end), size) }
  return range.start < range.end ? [range] : []
}

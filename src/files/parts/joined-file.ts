import { createHash } from 'node:crypto'
import type { ByteStream } from '../../content/endpoints.ts'
import type { OpenedFile, StreamRange } from '../../content/opened.ts'

interface Placed {
  readonly part: OpenedFile
  /** Where its bytes lie in the whole. */
  readonly start: number
  readonly end: number
}

/** A file whose bytes lie in several, one after another; they belong to it and are closed with it. */
export interface JoinedFile extends OpenedFile {
  /** Those that hold bytes of the range. */
  partsOf(start: number, end: number): readonly OpenedFile[]
}

/** Nothing is written: each read goes to the parts that hold its bytes. Errors name the part. */
export function joinFiles(name: string, parts: readonly OpenedFile[]): JoinedFile {
  const placed = placeParts(parts)
  const size = placed.at(-1)?.end ?? 0
  const within = (start: number, end: number) => placed.filter((each) => each.start < end && each.end > start)
  return {
    name,
    size,
    identity: joinedIdentity(parts),
    async read(target, offset) {
      const end = offset + target.length
      for (const { part, start, end: partEnd } of within(offset, end)) {
        const from = Math.max(offset, start)
        await part.read(target.subarray(from - offset, Math.min(end, partEnd) - offset), from - start)
      }
      return target
    },
    stream: (range) => joinedStream(within(range.start ?? 0, range.end ?? size), range),
    async checkUnchanged() {
      for (const part of parts) await part.checkUnchanged()
    },
    partsOf: (start, end) => within(start, end).map(({ part }) => part),
    async [Symbol.asyncDispose]() {
      await Promise.all(parts.map((part) => part[Symbol.asyncDispose]()))
    },
  }
}

function placeParts(parts: readonly OpenedFile[]): Placed[] {
  let start = 0
  return parts.map((part) => {
    const placed = { part, start, end: start + part.size }
    start = placed.end
    return placed
  })
}

async function* joinedStream(
  placed: readonly Placed[],
  { start: first = 0, end: last = Number.POSITIVE_INFINITY, ...range }: StreamRange,
): ByteStream {
  for (const { part, start, end } of placed) {
    yield* part.stream({ ...range, start: Math.max(first - start, 0), end: Math.min(last, end) - start })
  }
}

function joinedIdentity(parts: readonly OpenedFile[]): string {
  const hash = createHash('sha256')
  for (const { identity } of parts) hash.update(`${identity}\n`)
  return `joined:${hash.digest('hex')}`
}

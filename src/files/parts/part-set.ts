import type { OpenedFile } from '../../content/opened.ts'
import { AppError } from '../../lib/errors.ts'

/** What `part000` says of the file that was split. Source: zarf v0.84 internal/split/split.go. */
export interface PartSet {
  /** Hexadecimal, lower case. */
  readonly sha256: string
  /** Of the whole. */
  readonly bytes: number
  /** Of the parts beside part000. */
  readonly count: number
}

/** As many as zarf makes. */
export const MAX_PARTS = 999
/** zarf writes about 110 bytes. */
const MAX_HEAD_BYTES = 4096
const PART = /^(.+)\.part([0-9]{3})$/

/** The name of a split file and the number of the part, of a part's name; undefined where it is none. */
export function parsePartName(fileName: string): { whole: string; part: number } | undefined {
  const [, whole, part] = PART.exec(fileName) ?? []
  return whole === undefined ? undefined : { whole, part: Number(part) }
}

export function partName(whole: string, part: number): string {
  return `${whole}.part${String(part).padStart(3, '0')}`
}

/** Reads part000. Throws PACKAGE_INVALID where it is not what zarf writes, PACKAGE_UNREADABLE, PACKAGE_CHANGED. */
export async function readPartSet(head: OpenedFile): Promise<PartSet> {
  if (head.size > MAX_HEAD_BYTES) throw invalid(head.name, `has ${head.size} bytes, and zarf writes about a hundred`)
  const bytes = await head.read(Buffer.alloc(head.size), 0)
  const fields = readFields(bytes)
  if (!fields) throw invalid(head.name, 'is not the JSON that zarf writes there')
  const { sha256sum: sha256, bytes: size, count } = fields
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/i.test(sha256)) throw invalid(head.name, 'names no SHA-256')
  if (!isCount(size, Number.MAX_SAFE_INTEGER)) throw invalid(head.name, 'names no size')
  if (!isCount(count, MAX_PARTS)) throw invalid(head.name, `names no number of parts from 1 to ${MAX_PARTS}`)
  return { sha256: sha256.toLowerCase(), bytes: size, count }
}

/** By their names in lower case: older zarf wrote them in another. */
function readFields(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof value !== 'object' || value === null) return undefined
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name.toLowerCase(), field]))
  } catch {
    return undefined
  }
}

function isCount(value: unknown, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= most
}

/** Throws PACKAGE_INVALID naming the part whose size is wrong: all are equally large but the last. */
export function checkSizes(set: PartSet, parts: readonly OpenedFile[]): void {
  const bytes = parts.reduce((sum, { size }) => sum + size, 0)
  if (bytes === set.bytes) return
  const [wrong, ...more] = wrongSizes(set, parts)
  if (wrong && more.length === 0) {
    const { part: culprit, due } = wrong
    const how = culprit.size < due ? 'too short' : 'too long'
    throw invalid(culprit.name, `is ${how}: it has ${culprit.size} bytes, and ${due} were written`)
  }
  throw invalid(parts[0]?.name ?? '', `and the parts after it have ${bytes} bytes; part000 says ${set.bytes}`)
}

/** Those that are not as large as they must be, by the size that leaves the fewest. */
function wrongSizes({ bytes }: PartSet, parts: readonly OpenedFile[]): Array<{ part: OpenedFile; due: number }> {
  const last = parts.length - 1
  const sizes = last === 0 ? [bytes] : [...new Set(parts.slice(0, -1).map(({ size }) => size))]
  const fitting = sizes.filter((usual) => bytes - usual * last > 0)
  const found = fitting.map((usual) => {
    const due = (index: number) => (index < last ? usual : bytes - usual * last)
    const all = parts.map((part, index) => ({ part, due: due(index) }))
    return all.filter((each) => each.part.size !== each.due)
  })
  return found.toSorted((a, b) => a.length - b.length)[0] ?? []
}

/** The part that lies in the wrong place, as far as sizes and the beginning of a zstd file tell. */
export async function findMisplaced(parts: readonly OpenedFile[]): Promise<string | undefined> {
  const usual = usualSize(parts)
  const odd = parts.slice(0, -1).find(({ size }) => size !== usual)
  if (odd) return `${odd.name} has another size than those before and after it: parts are in the wrong order`
  const first = parts[0]
  if (!first?.name.includes('.tar.zst.') || (await startsZstd(first))) return undefined
  for (const part of parts.slice(1)) {
    if (await startsZstd(part)) {
      return `${part.name} begins as ${first.name} should, and that does not: parts are in the wrong order`
    }
  }
  return `${first.name} does not begin as a .tar.zst does`
}

const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

async function startsZstd(part: OpenedFile): Promise<boolean> {
  if (part.size < ZSTD_MAGIC.length) return false
  return (await part.read(Buffer.alloc(ZSTD_MAGIC.length), 0)).equals(ZSTD_MAGIC)
}

/** Of most parts but the last. */
function usualSize(parts: readonly OpenedFile[]): number {
  const counts = new Map<number, number>()
  for (const { size } of parts.slice(0, -1)) counts.set(size, (counts.get(size) ?? 0) + 1)
  const [most] = [...counts].toSorted(([, a], [, b]) => b - a)
  return most?.[0] ?? 0
}

export function invalid(name: string, why: string): AppError {
  return new AppError('PACKAGE_INVALID', `${name} ${why}`, {
    hint: 'Copy all parts of the package again, part000 too; nothing was changed here.',
    details: { path: name, pointer: '/source' },
  })
}

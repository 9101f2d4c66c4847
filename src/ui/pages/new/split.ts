import type { Problem } from '../../api/types.ts'

interface Named {
  readonly name: string
}

const PART = /^(.+)\.part([0-9]{3})$/

/** The name of the split package that a part is of, and which one it is. */
export function partOf(name: string): { whole: string; part: number } | undefined {
  const [, whole, part] = PART.exec(name) ?? []
  return whole === undefined ? undefined : { whole, part: Number(part) }
}

export interface Chosen<T> {
  /** In their order; of a split package part000 first, by which jobs name it. */
  readonly files: readonly T[]
  /** Of the package. */
  readonly name: string
  /** Why these are not sent: they are no package, or not all of one. */
  readonly problem?: Problem
}

/** What a person has dropped or chosen at once: one file, or all parts of a split package. `countOf`: how many parts part000 says there are beside it. */
export async function chosenFiles<T extends Named>(
  files: readonly T[],
  countOf: (head: T) => Promise<number | undefined>,
): Promise<Chosen<T>> {
  const parts = files
    .flatMap((file) => {
      const part = partOf(file.name)
      return part === undefined ? [] : [{ file, ...part }]
    })
    .toSorted((a, b) => a.part - b.part)
  const [head] = parts
  if (head === undefined && files.length === 1) return { files, name: files[0]?.name ?? '' }
  const name = head?.whole ?? files.map((file) => file.name).join(', ')
  if (head === undefined || parts.length < files.length || parts.some(({ whole }) => whole !== head.whole)) {
    return { files, name, problem: notSent('choose one package: one file, or all parts of a split one') }
  }
  const missing = missingOf(
    parts.map(({ part }) => part),
    head.part === 0 ? await countOf(head.file) : undefined,
  )
  const problem =
    missing.length === 0 ? {} : { problem: notSent(`choose all parts at once: ${said(missing)} not among them`) }
  return { files: parts.map(({ file }) => file), name, ...problem }
}

/** Parts that have to be there: part000, those up to the last one that is, and as many as part000 says. */
function missingOf(parts: readonly number[], count: number | undefined): number[] {
  const last = Math.max(count ?? 1, ...parts)
  return Array.from({ length: last + 1 }, (_, part) => part).filter((part) => !parts.includes(part))
}

function said(parts: readonly number[]): string {
  const names = parts.slice(0, 3).map((part) => `part${String(part).padStart(3, '0')}`)
  const more = parts.length > 3 ? ` and ${parts.length - 3} more` : ''
  return `${names.join(', ')}${more} ${parts.length === 1 ? 'is' : 'are'}`
}

function notSent(detail: string): Problem {
  return { type: 'about:blank', title: 'Not sent', status: 0, code: 'NOT_ALL_CHOSEN', detail, retryable: false }
}

/** part000 is JSON of about a hundred bytes; older zarf wrote its names in another case. */
const MOST_HEAD_BYTES = 4096

export async function countIn(head: Blob): Promise<number | undefined> {
  if (head.size > MOST_HEAD_BYTES) return undefined
  try {
    const fields = JSON.parse(await head.text()) as object
    const [, count] = Object.entries(fields).find(([name]) => name.toLowerCase() === 'count') ?? []
    return Number.isSafeInteger(count) && (count as number) <= 999 ? (count as number) : undefined
  } catch {
    return undefined
  }
}

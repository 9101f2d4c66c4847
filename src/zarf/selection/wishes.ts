import { AppError, type ErrorCode } from '../../lib/errors.ts'
import { createBreathing } from '../../lib/loop/breathe.ts'
import { compilePattern, type Pattern } from '../../lib/patterns/path-match.ts'

/** Of one request. */
const MAX_PATTERNS = 100
/** Patterns times names: half a second, of which none is held for long. Both are chosen by others. */
const MAX_STEPS = 100_000_000

/** One entry of a request. */
export interface Wish {
  readonly entry: string
  /** It takes away. */
  readonly out: boolean
  /** Of what is meant, without the `-` in front. */
  readonly name: string
  readonly pattern: Pattern
}

/** What the entries are about. */
export interface Kind {
  readonly code: ErrorCode
  readonly name: 'component' | 'image'
  /** Of an entry. */
  readonly maxLength: number
}

/** Entries as patterns (path-match.ts); one that begins with `-` takes away. Throws the kind's code. */
export function parseWishes(requested: readonly string[], { code, name, maxLength }: Kind): Wish[] {
  if (requested.length > MAX_PATTERNS) {
    throw new AppError(code, `${requested.length} names or patterns of ${name}s were given`, {
      hint: `At most ${MAX_PATTERNS} are taken: one pattern may stand for many names.`,
      details: { limit: MAX_PATTERNS },
    })
  }
  return requested.map((entry) => {
    if (entry.length > maxLength) {
      throw new AppError(code, `the pattern "${entry.slice(0, 40)}…" has ${entry.length} characters`, {
        hint: `A name or pattern of ${name}s has at most ${maxLength}.`,
        details: { limit: maxLength },
      })
    }
    const out = entry.startsWith('-')
    const meant = out ? entry.slice(1) : entry
    return { entry, out, name: meant, pattern: compilePattern(meant, code) }
  })
}

/** What can be chosen of: each with the names that it goes by. */
export interface Candidate {
  readonly names: readonly string[]
}

/**
 * What the wishes say of each candidate that any of them means; who is taken away is out, whatever else is said. `onWish` hears
 * of each wish which candidates it means. Throws the kind's code where it would take long.
 */
export async function meantBy<C extends Candidate>(
  wishes: readonly Wish[],
  candidates: readonly C[],
  { kind, onWish }: { kind: Kind; onWish: (wish: Wish, meant: readonly C[]) => void },
): Promise<ReadonlyMap<C, 'in' | 'out'>> {
  checkSteps(wishes, candidates, kind)
  const said = new Map<C, 'in' | 'out'>()
  const breathe = createBreathing()
  for (const wish of wishes) {
    const meant: C[] = []
    for (const candidate of candidates) {
      await breathe()
      if (!candidate.names.some((name) => wish.pattern.matches(name))) continue
      meant.push(candidate)
      if (said.get(candidate) !== 'out') said.set(candidate, wish.out ? 'out' : 'in')
    }
    onWish(wish, meant)
  }
  return said
}

function checkSteps(wishes: readonly Wish[], candidates: readonly Candidate[], { code, name }: Kind): void {
  const characters = candidates.reduce((sum, { names }) => names.reduce((inner, each) => inner + each.length, sum), 0)
  const steps = wishes.reduce((sum, { pattern }) => sum + (pattern.steps > 1 ? pattern.steps * characters : 0), 0)
  if (steps <= MAX_STEPS) return
  const count = candidates.length
  throw new AppError(code, `the patterns are too long and too many for ${count} ${name}s`, {
    hint: `Name ${name}s in full, or use fewer and shorter patterns.`,
    details: { [`${name}s`]: count, limit: MAX_STEPS },
  })
}

const MAX_NAMED = 20

/** Some of many. */
export function namesOf(names: readonly string[]): string {
  const more = names.length - MAX_NAMED
  return `${names.slice(0, MAX_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** Throws the kind's code; those that there are stand in its hint and details. */
export function wrongChoice(message: string, there: readonly string[], { code, name }: Kind): AppError {
  return new AppError(code, message, {
    details: { [`${name}s`]: there.slice(0, MAX_NAMED) },
    hint: there.length === 0 ? `There are no ${name}s to choose from.` : `Choose from: ${namesOf(there)}.`,
  })
}

/** An entry, as an error has it. */
export function shownEntry(entry: string): string {
  return entry.slice(0, 160)
}

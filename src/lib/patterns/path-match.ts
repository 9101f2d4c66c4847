import { AppError, type ErrorCode } from '../errors.ts'

type Term = 'star' | ((character: number) => boolean)

const SLASH = 0x2f

/**
 * A pattern by the rules of Go's path.Match, which zarf's filters use: `*` and `?` stand for characters other than `/`
 * (a leading dot too), `[a-c]` and `[^a-c]` for one of a class, a backslash takes the next character as it is. Nothing
 * else means anything. The result takes time proportional to pattern times name, whatever they hold.
 * Throws `code` for a class or an escape that does not end. Source: go1.26 path/match.go.
 */
export function compilePattern(pattern: string, code: ErrorCode): Pattern {
  const reader = new PatternReader(pattern, code)
  const terms = reader.terms()
  if (!/[*?[\\]/.test(pattern)) return { steps: 1, matches: (name) => name === pattern }
  return { steps: terms.length, matches: (name) => matches(terms, codePoints(name)) }
}

export interface Pattern {
  /** At most so many a character of the name; a plain name has one. */
  readonly steps: number
  readonly matches: (name: string) => boolean
}

class PatternReader {
  readonly #pattern: string
  readonly #characters: readonly number[]
  readonly #code: ErrorCode
  #at = 0

  constructor(pattern: string, code: ErrorCode) {
    this.#code = code
    this.#pattern = pattern
    this.#characters = codePoints(pattern)
  }

  terms(): Term[] {
    const terms: Term[] = []
    while (this.#at < this.#characters.length) terms.push(this.#term())
    return terms
  }

  #term(): Term {
    const character = this.#next()
    switch (String.fromCodePoint(character)) {
      case '*':
        return 'star'
      case '?':
        return (found) => found !== SLASH
      case '[':
        return this.#class()
      case '\\':
        return literal(this.#next())
      default:
        return literal(character)
    }
  }

  #class(): Term {
    const negated = this.#takes('^')
    const ranges: [low: number, high: number][] = []
    do {
      const low = this.#bound()
      ranges.push([low, this.#takes('-') ? this.#bound() : low])
    } while (!this.#takes(']'))
    return (found) => ranges.some(([low, high]) => low <= found && found <= high) !== negated
  }

  /** Go wants `-` and `]` escaped wherever they stand for themselves. */
  #bound(): number {
    if (this.#takes('-') || this.#takes(']')) throw this.#invalid()
    this.#takes('\\')
    return this.#next()
  }

  #takes(character: string): boolean {
    if (this.#characters[this.#at] !== character.codePointAt(0)) return false
    this.#at += 1
    return true
  }

  #next(): number {
    const character = this.#characters[this.#at]
    if (character === undefined) throw this.#invalid()
    this.#at += 1
    return character
  }

  #invalid(): AppError {
    return new AppError(this.#code, `"${this.#pattern.slice(0, 160)}" is not a pattern`, {
      hint: 'In a pattern *, ? and [a-c] stand for characters; a backslash takes the next one as it is, also a "[".',
      details: { pattern: this.#pattern.slice(0, 160) },
    })
  }
}

function literal(character: number): Term {
  return (found) => found === character
}

/** Where something does not fit, the last star takes one character more; no earlier one has to. */
function matches(terms: readonly Term[], name: readonly number[]): boolean {
  let at = 0
  let term = 0
  let star: { term: number; at: number } | undefined
  while (at < name.length) {
    const wanted = terms[term]
    const character = name[at] as number
    if (wanted === 'star') {
      star = { term, at }
      term += 1
    } else if (wanted?.(character) === true) {
      at += 1
      term += 1
    } else if (star && name[star.at] !== SLASH) {
      star.at += 1
      at = star.at
      term = star.term + 1
    } else {
      return false
    }
  }
  return terms.slice(term).every((rest) => rest === 'star')
}

function codePoints(text: string): number[] {
  const points: number[] = []
  for (const character of text) points.push(character.codePointAt(0) as number)
  return points
}

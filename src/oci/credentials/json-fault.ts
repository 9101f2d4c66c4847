/** Where a text stops being JSON. */
export interface JsonFault {
  /** From 1. */
  readonly line: number
  /** What people write there who take it for a language like JSON. */
  readonly what: 'a comment' | 'a comma too many' | undefined
}

const BLANK = /[ \t\r\n]*/y
const TOKEN =
  /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|[{}[\],:]/uy

/** Which tokens may come next, by their first letters: `0` is any number, and true, false and null. */
const MAY_COME = {
  value: '"0{[',
  'first value': '"0{[]',
  key: '"',
  'first key': '"}',
  colon: ':',
  'more of {': ',}',
  'more of [': ',]',
  end: '',
} as const
type Wants = keyof typeof MAY_COME
type Bracket = '{' | '['

/**
 * Finds the first place that JSON.parse could not get past, whose own message quotes the text, and often names no place.
 * Source: RFC 8259.
 */
export function jsonFault(text: string): JsonFault {
  const open: Bracket[] = []
  let wants: Wants = 'value'
  let at = 0
  for (;;) {
    BLANK.lastIndex = at
    at += BLANK.exec(text)?.[0].length ?? 0
    TOKEN.lastIndex = at
    const token = TOKEN.exec(text)?.[0] ?? ''
    const letter = /^[-0-9a-z]/.test(token) ? '0' : token.charAt(0)
    if (letter === '' || !MAY_COME[wants].includes(letter)) break
    wants = after(letter, wants, open)
    at += token.length
  }
  return { line: lineOf(text, at), what: whatStandsAt(text, at, wants) }
}

/** `open` are the brackets around the token. */
function after(letter: string, wants: Wants, open: Bracket[]): Wants {
  if (letter === '{' || letter === '[') {
    open.push(letter)
    return letter === '{' ? 'first key' : 'first value'
  }
  if (letter === ':') return 'value'
  if (letter === ',') return wants === 'more of {' ? 'key' : 'value'
  if (letter === '"' && (wants === 'key' || wants === 'first key')) return 'colon'
  if (letter === '}' || letter === ']') open.pop()
  const around = open.at(-1)
  return around === undefined ? 'end' : `more of ${around}`
}

function lineOf(text: string, at: number): number {
  let line = 1
  for (let end = text.indexOf('\n'); end !== -1 && end < at; end = text.indexOf('\n', end + 1)) line += 1
  return line
}

function whatStandsAt(text: string, at: number, wants: Wants): JsonFault['what'] {
  if (text.startsWith('//', at) || text.startsWith('/*', at) || text[at] === '#') return 'a comment'
  return (wants === 'key' || wants === 'value') && '}],'.includes(text[at] ?? ' ') ? 'a comma too many' : undefined
}

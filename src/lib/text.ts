/** Without the characters of `unwanted` that stand at its end: what an expression ending in `+$` does in quadratic time. */
export function trimEndOf(text: string, unwanted: string): string {
  let end = text.length
  while (end > 0 && unwanted.includes(text[end - 1] as string)) end -= 1
  return text.slice(0, end)
}

/** Names separated by commas; none where nothing is named. */
export function listedNames(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

/** Whether it can stand in a header as one word: visible ASCII, without spaces. */
export function isHeaderWord(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text)
}

/** `14:03:20 UTC` of an ISO time, as people are told when something is tried again. */
export function timeOfDay(iso: string): string {
  return `${iso.slice(11, 19)} UTC`
}

const SIZE_UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `900 bytes`, `1.2 GiB`, `2 GiB`: for sentences; programs get bytes. */
export function sizeText(bytes: number): string {
  let value = bytes
  let unit = -1
  while (value >= 1024 && unit < SIZE_UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${Number(value.toFixed(1))} ${SIZE_UNITS[unit] ?? 'bytes'}`
}

/**
 * What steers a terminal, forges a line, or shows text in another order than it has: control characters, line and paragraph
 * separators, and those of Unicode's property Bidi_Control.
 */
const EACH_UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu
const RUNS_OF_UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu

/** Whether a text has characters that are obeyed rather than seen. */
export function hasUnseen(text: string): boolean {
  return text.search(EACH_UNSEEN) !== -1
}

/** Without those, for texts of others: one space for each run of them. */
export function withoutUnseen(text: string): string {
  return text.replace(RUNS_OF_UNSEEN, ' ')
}

/** With those shown as JSON would, `\u001b`, so that JSON stays what it was. `keep`: characters that pass, such as line ends of ours. */
export function visible(text: string, keep = ''): string {
  return text.replace(EACH_UNSEEN, (found) =>
    keep.includes(found) ? found : `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

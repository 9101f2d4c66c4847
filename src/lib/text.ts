/** Without the characters of `unwanted` that stand at its end: what an expression ending in `+$` does in quadratic time. */
export function trimEndOf(text: string, unwanted: string): string {
  let end = text.length
  while (end > 0 && unwanted.includes(text[end - 1] as string)) end -= 1
  return text.slice(0, end)
}

/** `14:03:20 UTC` of an ISO time, as people are told when something is tried again. */
export function timeOfDay(iso: string): string {
  return `${iso.slice(11, 19)} UTC`
}

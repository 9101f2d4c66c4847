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

/** Without what could steer a terminal or forge a line, for texts of others: one space for each run of it. */
export function withoutControls(text: string): string {
  // oxlint-disable-next-line no-control-regex -- that is what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
}

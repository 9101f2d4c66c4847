const MASK = '***'
/** A line of a secret that is shorter than this is found everywhere, and tells nothing. */
const LEAST_LINE = 4

/** Takes secrets out of a text. */
export interface Mask {
  (text: string): string
  /** Characters of the longest form of a secret: who cuts a text keeps so many more of it until it was masked. */
  readonly reach: number
}

/**
 * Finds each secret as it is, as JSON and shells and URLs write it, in base64, and of one with several lines each line. Linear in the text for
 * each secret.
 */
export function createMask(secrets: Iterable<string>): Mask {
  const forms = new Set([...secrets].flatMap(formsOf).filter((form) => form !== ''))
  // The longest first: one may be a part of another.
  const ordered = [...forms].toSorted((a, b) => b.length - a.length)
  const mask = (text: string): string => ordered.reduce((left, form) => left.replaceAll(form, () => MASK), text)
  return Object.assign(mask, { reach: ordered[0]?.length ?? 0 })
}

function formsOf(secret: string): string[] {
  const lines = secret.split(/\r?\n/)
  const parts = lines.length > 1 ? lines.map((line) => line.trim()).filter((line) => line.length >= LEAST_LINE) : []
  return [secret, ...parts].flatMap((text) => [
    text,
    JSON.stringify(text).slice(1, -1),
    escapedAsGo(text),
    text.replaceAll("'", `'"'"'`),
    encodeURIComponent(text.toWellFormed()),
    Buffer.from(text).toString('base64'),
  ])
}

/** As zarf's JSON has it. Source: Go encoding/json, SetEscapeHTML. */
function escapedAsGo(text: string): string {
  const json = JSON.stringify(text).slice(1, -1)
  return json
    .replaceAll('<', String.raw`\u003c`)
    .replaceAll('>', String.raw`\u003e`)
    .replaceAll('&', String.raw`\u0026`)
}

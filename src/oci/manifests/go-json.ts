const ESCAPED = /[<>&\u2028\u2029]/g

/** JSON as Go's encoding/json writes it: compact, with <, >, &, U+2028 and U+2029 escaped. Zarf's indexes are such bytes. */
export function goJson(value: unknown): Buffer {
  const text = JSON.stringify(value).replace(
    ESCAPED,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return Buffer.from(text)
}

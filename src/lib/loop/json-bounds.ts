/** What a JSON text may hold: elements and members in all, different keys, levels. */
export interface JsonBounds {
  readonly values: number
  readonly keys: number
  readonly depth: number
}

/** Nothing in so short a text holds anything up. */
const SHORT = 16 * 1024
const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a]

/** 0 for all that stands for itself alone. */
const KINDS = new Uint8Array(256)
const [OPENS, CLOSES, SEPARATES, QUOTES] = [1, 2, 3, 4] as const
for (const character of '[{') KINDS[character.charCodeAt(0)] = OPENS
for (const character of ']}') KINDS[character.charCodeAt(0)] = CLOSES
KINDS[','.charCodeAt(0)] = SEPARATES
KINDS[QUOTE] = QUOTES

/**
 * Why JSON of others is not even parsed, or undefined: a few MiB that are all brackets or different keys would hold the event
 * loop for long, here and wherever they are looked at.
 */
export function beyondBounds(json: Buffer, bounds: JsonBounds): string | undefined {
  if (json.length <= SHORT) return undefined
  const keys = new Keys()
  let [values, depth] = [1, 0]
  for (let at = 0; at < json.length; at++) {
    const kind = KINDS[json[at] as number]
    if (kind === 0) continue
    if (kind === QUOTES) at = keys.take(json, at)
    else if (kind === CLOSES) depth -= 1
    else {
      values += 1
      if (kind === OPENS) depth += 1
      if (values > bounds.values) return `holds more than ${bounds.values} values`
      if (depth > bounds.depth) return `nests more than ${bounds.depth} deep`
    }
    if (keys.count > bounds.keys) return `holds more than ${bounds.keys} different keys`
  }
  return undefined
}

/** Told apart by a hash; two of the same count as one. */
class Keys {
  count = 0
  readonly #seen = new Uint8Array(2 ** 17)

  /** Passes over a text and returns where it ends. */
  take(json: Buffer, from: number): number {
    let at = from + 1
    let hash = 0
    for (; at < json.length && json[at] !== QUOTE; at++) {
      if (json[at] === BACKSLASH) at += 1
      hash = (Math.imul(hash, 31) + (json[at] as number)) | 0
    }
    if (json[at + 1] !== COLON && !colonFollows(json, at + 1)) return at
    const place = (hash ^ (hash >>> 15)) & (this.#seen.length - 1)
    if (this.#seen[place] === 0) this.count += 1
    this.#seen[place] = 1
    return at
  }
}

function colonFollows(json: Buffer, from: number): boolean {
  let at = from
  while (isBlank(json[at])) at += 1
  return json[at] === COLON
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

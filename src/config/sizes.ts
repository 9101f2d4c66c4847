const STEP = { '': 1, k: 1, m: 2, g: 3, t: 4, p: 5 } as const

/**
 * Bytes of a size as people write it: `5`, `10GB`, `512MiB`, `1.5 TiB`, `2Gi`, `3k`; with an "i" by 1024, else by 1000.
 * Undefined for anything else, for less than a byte and for more than can be counted.
 */
export function parseSize(text: string): number | undefined {
  const found = /^(\d{1,16}(?:\.\d{1,6})?) ?(?:([kmgtp])(i?))?b?$/i.exec(text.trim())
  if (!found) return undefined
  const [, figure = '', letter = '', binary = ''] = found
  const factor = (binary === '' ? 1000 : 1024) ** STEP[letter.toLowerCase() as keyof typeof STEP]
  const bytes = Math.floor(Number(figure) * (letter === '' ? 1 : factor))
  return bytes >= 1 && Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Whether If-None-Match names the tag. RFC 9110 13.1.2: a list, weak tags compare like strong ones, * is any. */
export function isKnownTag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  const tags = ifNoneMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return tags.includes('*') || tags.includes(etag)
}

/** Bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  start: number
  end: number
}

/**
 * The one range that Range asks for, 'unsatisfiable' where it begins past the end, or 'whole': without the header, with
 * another unit or several ranges (RFC 9110 14.2 lets a server pass over it), and where If-Range names another version
 * (13.1.5; only a strong tag can match, for a date tells no bytes apart).
 */
export function chooseRange(
  headers: { range?: string | undefined; 'if-range'?: string | string[] | undefined },
  content: { etag: string; size: number },
): ByteRange | 'whole' | 'unsatisfiable' {
  const [, first = '', last = ''] = /^bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/i.exec(headers.range ?? '') ?? []
  const ifRange = headers['if-range']
  if ((first === '' && last === '') || (ifRange !== undefined && ifRange !== content.etag)) return 'whole'
  const { size } = content
  if (first === '') return last === '0' ? 'unsatisfiable' : { start: Math.max(0, size - Number(last)), end: size }
  if (last !== '' && Number(last) < Number(first)) return 'whole'
  if (Number(first) >= size) return 'unsatisfiable'
  return { start: Number(first), end: last === '' ? size : Math.min(Number(last) + 1, size) }
}

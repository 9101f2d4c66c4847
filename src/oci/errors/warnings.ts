/**
 * What a registry says beside its answers, by `Warning: 299 - "text"`: the texts of all of a header's warnings, unescaped.
 * Other codes are those of caches. Source: OCI distribution-spec v1.1.1 "Warnings", RFC 7234 5.5.
 */
export function warningTexts(header: string): string[] {
  const texts: string[] = []
  let from = 0
  for (let quote = header.indexOf('"'); quote !== -1; quote = header.indexOf('"', from)) {
    const before = header.slice(from, quote)
    const { text, end } = quotedText(header, quote)
    // What follows a text in quotes may be a date.
    if (/^[\s,]*299 \S+ $/.test(before)) texts.push(inUtf8(text))
    from = end
  }
  return texts
}

/** From its first quote to behind its last; what was cut off ends with the header. */
function quotedText(header: string, quote: number): { text: string; end: number } {
  const parts: string[] = []
  for (let at = quote + 1; at < header.length; at += 1) {
    if (header[at] === '"') return { text: parts.join(''), end: at + 1 }
    if (header[at] === '\\') at += 1
    parts.push(header[at] ?? '')
  }
  return { text: parts.join(''), end: header.length }
}

/** Headers come as Latin-1, and most who write more than ASCII there mean UTF-8. */
function inUtf8(text: string): string {
  const told = Buffer.from(text, 'latin1').toString('utf8')
  return told.includes('\ufffd') ? text : told
}

import { unescapable } from './escapes.ts'

/** What a proxy's address has to be. */
export const PROXY_FORM = 'It is host:port, or http://user:password@host:port.'

/**
 * A proxy as curl and Go read it: without a scheme it is spoken to in plain HTTP. Its URL, or why it is none, in words that
 * repeat nothing of what may be a password.
 */
export function readProxyUrl(text: string): { url: string } | { why: string } {
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const parsed = URL.canParse(full) ? new URL(full) : undefined
  // What stands after the password's "#" is no host's: the parser took the password's begin for a port.
  const strays = ['#', '/', '?'].filter((sign) =>
    text
      .replace(/^[^/]*\/\//, '')
      .split('@')[0]
      ?.includes(sign),
  )
  if (text.includes('@') && strays.length > 0) {
    return { why: 'a "#", "/" or "?" in its user or password must be written %23, %2F or %3F' }
  }
  if (!parsed || !['http:', 'https:'].includes(parsed.protocol)) {
    return { why: 'must be host:port, or a URL that begins with http:// or https://' }
  }
  if (unescapable(parsed)) return { why: 'a "%" in its user or password must be written %25' }
  return { url: parsed.href }
}

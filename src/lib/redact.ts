/** A URL that may be logged: no user info, no query (upload state, presigned signatures), no fragment. */
export function redactUrl(url: string | URL): string {
  try {
    const parsed = new URL(url)
    // "redis:password@host" has no host: all of it is one opaque path.
    if (parsed.host === '') return `${parsed.protocol}…`
    return `${parsed.protocol}//${parsed.host}${parsed.pathname}${parsed.search ? '?…' : ''}`
  } catch {
    return '(unparsable URL)'
  }
}

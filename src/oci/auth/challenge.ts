/** One challenge of a WWW-Authenticate header. Source: RFC 9110 11.6.1. */
export interface Challenge {
  /** Lower case. */
  readonly scheme: string
  /** Names in lower case; the first of several equal ones. */
  readonly params: ReadonlyMap<string, string>
}

const BLANK = /[ \t,]*/y
const SCHEME = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const TOKEN68 = /[ \t]+[0-9A-Za-z\-._~+/]+=*[ \t]*(?:,|$)/y
/** Unquoted values are read up to a blank or a comma: some servers send URLs without quotes. */
const PARAM = /[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\[^])*)(?:"|$)|([^\s,"]*))/y

/**
 * Reads all challenges of all values (several values joined by commas). What does not parse is skipped, nothing throws:
 * Harbor sends an empty value, others none at all.
 */
export function parseChallenges(header: string | undefined): Challenge[] {
  const text = header ?? ''
  const challenges: Challenge[] = []
  let at = 0
  const take: Take = (pattern) => {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found) at = pattern.lastIndex
    return found
  }
  for (;;) {
    take(BLANK)
    if (at >= text.length) return challenges
    const scheme = take(SCHEME)
    if (scheme) challenges.push({ scheme: scheme[0].toLowerCase(), params: takeParams(take) })
    else at += 1
  }
}

/** Moves past what the pattern matches at the place reached, if it does. */
type Take = (pattern: RegExp) => RegExpExecArray | null

function takeParams(take: Take): Map<string, string> {
  const params = new Map<string, string>()
  if (take(TOKEN68)) return params
  for (let found = take(PARAM); found; found = take(PARAM)) {
    const [, name = '', quoted, bare = ''] = found
    const key = name.toLowerCase()
    if (!params.has(key)) params.set(key, quoted?.replace(/\\([^])/g, '$1') ?? bare)
    take(BLANK)
  }
  return params
}

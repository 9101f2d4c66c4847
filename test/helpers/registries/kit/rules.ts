import type { RecordedRequest } from './exchange.ts'

/** What no client of ours may do, whatever the registry. Source: registries.md 19 (K1). */
export interface Rules {
  /** A Location of an upload, path and query. */
  gave(location: string): void
  /** A request begins. */
  seen(request: RecordedRequest): void
  /** A body of a session begins; returns what to call at its end. */
  body(session: string, request: RecordedRequest): () => void
  /** A token that does not give what the call needs was shown. */
  uncovered(authorization: string, needs: string): void
  /** A blob of so many bytes is asked for. */
  range(request: RecordedRequest, size: number): void
  /** Throws with all that was broken. */
  check(): void
}

export function createRules(overlaps = false): Rules {
  const broken: string[] = []
  const given = new Set<string>()
  const busy = new Map<string, string>()
  const refused = new Set<string>()
  const told = ({ method, target }: RecordedRequest) => `${method} ${target}`
  return {
    gave: (location) => void given.add(location),
    seen(request) {
      const { origin, headers, method, target } = request
      const { authorization, cookie, 'content-range': range, 'content-length': length } = headers
      if (cookie !== undefined) broken.push(`${told(request)} brought a cookie`)
      if (origin === 'storage' && authorization !== undefined) {
        broken.push(`${told(request)} brought credentials to storage`)
      }
      if (origin === 'auth' && /^bearer/i.test(authorization ?? '')) {
        broken.push(`${told(request)} brought a token to the token service`)
      }
      if (range !== undefined && !isContentRange(range, length)) {
        broken.push(`${told(request)} has the Content-Range ${range} with ${length ?? 'no'} length`)
      }
      if (isUpload(request) && !given.has(withoutDigest(target))) {
        broken.push(`${method} ${target} goes to a Location that was never given`)
      }
    },
    body(session, request) {
      const other = busy.get(session)
      if (other !== undefined && !overlaps) broken.push(`${told(request)} overlaps with ${other}`)
      busy.set(session, told(request))
      return () => void busy.delete(session)
    },
    uncovered(authorization, needs) {
      const shown = `${needs} by ${authorization}`
      if (refused.has(shown)) broken.push(`a token that had been refused for ${needs} was shown for it again`)
      refused.add(shown)
    },
    range(request, size) {
      const start = /^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1]
      if (start !== undefined && Number(start) >= size && size > 0) {
        broken.push(`${told(request)} asks for what is behind the last of ${size} bytes`)
      }
    },
    check() {
      if (broken.length > 0) throw new Error(`what no client may do was done:\n${broken.join('\n')}`)
    },
  }
}

function isContentRange(range: string, length: string | undefined): boolean {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(range) ?? []
  if (first === undefined) return false
  return length === undefined || Number(last) - Number(first) + 1 === Number(length)
}

function isUpload({ origin, method, path }: RecordedRequest): boolean {
  return origin === 'registry' && method !== 'POST' && /\/blobs\/uploads?\//.test(path)
}

/** The Location as it was given, before the digest was appended. */
function withoutDigest(target: string): string {
  return target.replace(/[?&]digest=sha(?:256|512)(?::|%3A)[a-f0-9]+$/i, '')
}

import { type Digest } from '../../../content/digest.ts'
import { AppError } from '../../../lib/errors.ts'

/**
 * Where the next request of an upload goes: the Location as it was sent (relative or absolute, its query untouched),
 * except that a Location on the same host which lost the port or the scheme that led us there gets ours back: registries
 * behind a TLS proxy build it from what they see (oras-project/oras-go#177).
 * `registry`: as people call it. Throws REGISTRY_PROTOCOL_VIOLATION, without the Location: it may hold a password.
 * Source: OCI distribution-spec v1.1.1 "Pushing a blob in chunks" ("the <location> ... MAY contain query parameters").
 */
export function resolveLocation(location: string, from: URL, registry = from.host): URL {
  const url = URL.parse(location, from.href)
  if (url === null) {
    throw new AppError('REGISTRY_PROTOCOL_VIOLATION', `${registry} answered with a Location that is no address`)
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new AppError(
      'REGISTRY_PROTOCOL_VIOLATION',
      `${registry} sent an upload to an address that is neither http nor https`,
    )
  }
  // It stays with the client; what is appended behind it would stay too.
  url.hash = ''
  if (url.hostname !== from.hostname) return url
  if (url.port === from.port || url.port === '') {
    url.protocol = from.protocol
    url.port = from.port
  }
  return url
}

/** Appends the digest without touching what is there; a redirect of the same request has it already. */
export function withDigest(location: URL, digest: Digest): URL {
  if (location.searchParams.get('digest') === digest) return location
  const separator = location.href.includes('?') ? '&' : '?'
  return new URL(`${location.href}${separator}digest=${encodeURIComponent(digest)}`)
}

/**
 * How many bytes a Range header of an upload says are there; undefined where it says nothing. Forms seen: `0-N`,
 * `bytes=0-N`, `0--1` for none (zot, Quay).
 */
export function bytesFromRange(header: string | undefined): number | undefined {
  const end = /^(?:bytes=)?\d+-(-?\d+)$/.exec(header?.trim() ?? '')?.[1]
  return end === undefined ? undefined : Math.max(0, Number(end) + 1)
}

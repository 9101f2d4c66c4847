import type { RegistryResponse } from '../oci/registry.ts'

/** What a server says of a file, to know it again by. */
export interface RemoteState {
  /** Bytes. */
  readonly size: number
  /** As they came, weak ones too. */
  readonly etag: string | undefined
  readonly modified: string | undefined
  /** Whether it gives parts of the file. */
  readonly ranges: boolean
}

/** What a Content-Range says. Source: RFC 9110 14.4. */
export function contentRange(response: RegistryResponse): { start: number; last: number; total: number } | undefined {
  const [, start, last, total] =
    /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(response.header('content-range') ?? '') ?? []
  return start === undefined ? undefined : { start: Number(start), last: Number(last), total: Number(total) }
}

/** Undefined where the server does not say how long the file is. */
export function stateOf(response: RegistryResponse): RemoteState | undefined {
  const ranges = response.status === 206
  const length = /^\d{1,15}$/.exec(response.header('content-length') ?? '')
  const size = ranges ? contentRange(response)?.total : length ? Number(length[0]) : undefined
  if (size === undefined) return undefined
  return { size, ranges, etag: response.header('etag'), modified: response.header('last-modified') }
}

/** Whether an answer is of the same file in the same state, by all that both say. */
export function isSame(known: RemoteState, found: RemoteState): boolean {
  const agree = (a: string | undefined, b: string | undefined) => a === undefined || b === undefined || a === b
  // An ETag is the better word: a file that was copied anew has another date.
  const byDate = known.etag !== undefined && found.etag !== undefined ? true : agree(known.modified, found.modified)
  return known.size === found.size && agree(known.etag, found.etag) && byDate
}

/** For If-Range, which takes no weak ETag. Source: RFC 9110 13.1.5. */
export function validatorOf({ etag, modified }: RemoteState): string | undefined {
  return etag !== undefined && !etag.startsWith('W/') ? etag : etag === undefined ? modified : undefined
}

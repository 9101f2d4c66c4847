import type { Page, PageOf } from '../../jobs/model/requests.ts'
import { AppError } from '../../lib/errors.ts'

/** Where an entry stands in its list, as words that are compared one after the other; the last one is its id. */
export type PlaceOf<T> = (entry: T) => readonly string[]

/**
 * One page of `entries`, in the order of their places. The token is the place of the last one shown, so that nothing is shown
 * twice or left out when entries come and go between two pages. `isId`: what a place ends in. Throws REQUEST_INVALID.
 */
export function placedPage<T>(
  entries: readonly T[],
  { size, token }: Page,
  { place, isId }: { place: PlaceOf<T>; isId: (text: string) => boolean },
): PageOf<T> {
  const after = token === undefined ? '' : placeIn(token, isId)
  const rest = entries
    .map((entry) => ({ entry, at: place(entry).join('\0') }))
    .filter(({ at }) => at > after)
    .toSorted((a, b) => (a.at < b.at ? -1 : 1))
  const shown = rest.slice(0, size)
  const last = shown.at(-1)
  return {
    items: shown.map(({ entry }) => entry),
    ...(last === undefined || rest.length === shown.length ? {} : { nextPageToken: tokenOf(last.at) }),
  }
}

function tokenOf(at: string): string {
  return Buffer.from(at).toString('base64url')
}

function placeIn(token: string, isId: (text: string) => boolean): string {
  const at = Buffer.from(token, 'base64url').toString()
  if (isId(at.split('\0').at(-1) ?? '')) return at
  throw new AppError('REQUEST_INVALID', 'the page token is not one that this list gave out', {
    hint: 'Pass nextPageToken of the page before as it is, or none for the first page.',
  })
}

import { isDigest } from '../../content/digest.ts'
import type { Page, PageOf } from '../../jobs/model/requests.ts'
import { AppError } from '../../lib/errors.ts'
import type { StoredPackage } from '../../store/content-store.ts'

/**
 * One page of the packages, by name, version, flavor, architecture. The token is the place of the last one shown, so that
 * nothing is shown twice or left out when packages come and go between two pages. Throws REQUEST_INVALID.
 */
export function pageOfPackages(packages: readonly StoredPackage[], { size, token }: Page): PageOf<StoredPackage> {
  const after = token === undefined ? '' : placeOf(token)
  const rest = packages
    .map((stored) => ({ stored, place: place(stored) }))
    .filter((entry) => entry.place > after)
    .toSorted((a, b) => (a.place < b.place ? -1 : 1))
  const shown = rest.slice(0, size)
  const last = shown.at(-1)
  return {
    items: shown.map(({ stored }) => stored),
    ...(last === undefined || rest.length === shown.length ? {} : { nextPageToken: tokenOf(last.place) }),
  }
}

function place({ name, version, flavor, architecture, digest }: StoredPackage): string {
  return [name, version ?? '', flavor ?? '', architecture, digest].join('\0')
}

function tokenOf(place: string): string {
  return Buffer.from(place).toString('base64url')
}

function placeOf(token: string): string {
  const place = Buffer.from(token, 'base64url').toString()
  if (isDigest(place.split('\0')[4] ?? '')) return place
  throw new AppError('REQUEST_INVALID', 'the page token is not one that this list gave out', {
    hint: 'Pass nextPageToken of the page before as it is, or none for the first page.',
  })
}

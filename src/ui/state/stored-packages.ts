import { api, dataOf } from '../api/client.ts'
import type { StoredPackage } from '../api/types.ts'

const PAGE = 200
/** More than a person looks through; the interface has the rest. */
const MOST_PAGES = 10

export interface StoredPackages {
  readonly items: readonly StoredPackage[]
  /** There are more than these. */
  readonly more: boolean
}

/** Those that the caller may see, by name. Throws Refusal. */
export async function storedPackages(): Promise<StoredPackages> {
  const items: StoredPackage[] = []
  let pageToken: string | undefined
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const query = { pageSize: PAGE, ...(pageToken === undefined ? {} : { pageToken }) }
    const answer = await dataOf(api.GET('/v1/packages', { params: { query } }))
    items.push(...(answer?.items ?? []))
    pageToken = answer?.nextPageToken
    if (pageToken === undefined) break
  }
  return { items, more: pageToken !== undefined }
}

/** A part of its name, version, digest or where it came from, in upper or lower case. */
export function isFound(
  { name, version, flavor, architecture, digest, references }: StoredPackage,
  text: string,
): boolean {
  const said = [name, version, flavor, architecture, digest, ...references].join('\n').toLowerCase()
  return said.includes(text.trim().toLowerCase())
}

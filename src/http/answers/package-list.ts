import { isDigest } from '../../content/digest.ts'
import type { Page, PageOf } from '../../jobs/model/requests.ts'
import type { StoredPackage } from '../../store/content-store.ts'
import { placedPage } from './placed-page.ts'

/** One page of the packages, by name, version, flavor, architecture. Throws REQUEST_INVALID. */
export function pageOfPackages(packages: readonly StoredPackage[], page: Page): PageOf<StoredPackage> {
  return placedPage(packages, page, { place, isId: isDigest })
}

function place({ name, version, flavor, architecture, digest }: StoredPackage): string[] {
  return [name, version ?? '', flavor ?? '', architecture, digest]
}

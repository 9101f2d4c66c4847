import type { Digest } from '../../content/digest.ts'
import type { Bundle } from '../../uds/contents/bundle.ts'

/** One package of a bundle, as results tell it. */
export interface BundledPackage {
  name: string
  /** Of its manifest. */
  digest: Digest
}

export function bundledPackages({ packages }: Pick<Bundle, 'packages'>): BundledPackage[] {
  return packages.map(({ outline, manifest }) => ({ name: outline.name, digest: manifest.digest }))
}

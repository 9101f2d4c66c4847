import { distinct } from '../content/copy-graph.ts'
import type { Descriptor } from '../content/descriptor.ts'
import { type Digest, digestAlgorithm, digestHex } from '../content/digest.ts'
import { CHECKSUMS, DEFINITION, LEGACY_SIGNATURE, SIGSTORE_BUNDLE } from './layout/metadata-files.ts'
import { type PackageLayers, withConfig } from './pulled-package.ts'

const FIRST = [CHECKSUMS, DEFINITION, LEGACY_SIGNATURE, SIGSTORE_BUNDLE] as const

/** Where a blob lies in an update's archive: as in an OCI image layout. */
export function updateBlobPath(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`
}

/** Blobs that are always inside, and before all others: what has to be checked before anything is written. */
export function headOf({ config, byTitle }: PackageLayers): Descriptor[] {
  const files = FIRST.map((title) => byTitle.get(title)).filter((layer) => layer !== undefined)
  return distinct(config ? [config, ...files] : files)
}

/** What of a package an update has inside, and what it takes from the base: each blob once, in the manifest's order. */
export function partsOf(made: PackageLayers, base: PackageLayers): Record<'included' | 'fromBase', Descriptor[]> {
  const has = new Map(allBlobs(base).map(({ digest, size }) => [digest, size]))
  const head = headOf(made)
  const inHead = new Set(head.map(({ digest }) => digest))
  const rest = allBlobs(made).filter(({ digest }) => !inHead.has(digest))
  const isThere = ({ digest, size }: Descriptor): boolean => has.get(digest) === size
  return { included: [...head, ...rest.filter((blob) => !isThere(blob))], fromBase: rest.filter(isThere) }
}

/** Layers and config, each digest once. */
export function allBlobs(layers: PackageLayers): Descriptor[] {
  return withConfig(layers, layers.layers)
}

import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { ContentStore } from '../../store/content-store.ts'
import { readStoredManifest, requireStored, titled } from '../stored-package.ts'
import type { InspectablePackage } from './inspectable.ts'
import { innerOf, rangeOf } from './ranged.ts'

/**
 * A package of the store. What its own pulls did not bring is PACKAGE_INCOMPLETE when it is asked for. Throws
 * PACKAGE_NOT_STORED, STORE_CORRUPT.
 */
export async function openStoredFiles(
  store: ContentStore,
  digest: Digest,
  signal: AbortSignal,
): Promise<InspectablePackage> {
  const { record, layers } = await readStoredManifest(store, digest, signal)
  const required = new Map<Descriptor, Promise<void>>()
  const require = (layer: Descriptor): Promise<void> => {
    const known = required.get(layer) ?? requireStored(store, record, titled(layers.byTitle, [layer]))
    required.set(layer, known)
    return known
  }
  const place = {
    async read(layer: Descriptor) {
      await require(layer)
      return await store.read(layer, { signal })
    },
    async open(layer: Descriptor, options: object) {
      await require(layer)
      return await store.open(layer, { ...options, signal })
    },
  }
  return {
    where: `${digest} in the store`,
    digest,
    layers,
    signal,
    read: (layer) => place.read(layer),
    inner: (layer) => innerOf(layer, place),
    stream: (layer, range) => rangeOf(layer, range, place),
  }
}

import type { Descriptor } from '../../content/descriptor.ts'
import { isNotDistributed } from '../../content/media-types.ts'
import { imageBlob, imageLayer } from '../../zarf/select.ts'
import type { ReadManifest } from '../copy/tree.ts'

/** A blob of an image, as the package has it. */
export interface ImageBlob {
  readonly layer: Descriptor
  /** To show it by. */
  readonly title: string
}

/** Configs and layers that these manifests need. Throws PACKAGE_INVALID naming one that the package lacks. */
export function* blobsOf(
  manifests: readonly ReadManifest[],
  { image, byTitle }: { image: string; byTitle: ReadonlyMap<string, Descriptor> },
): Generator<ImageBlob> {
  for (const { parsed } of manifests) {
    if (parsed.kind === 'index') continue
    const { config, layers } = parsed
    if (config) yield { layer: imageLayer(config, byTitle), title: `${image}, config` }
    for (const [place, layer] of layers.entries()) {
      // A package need not hold these.
      if (isNotDistributed(layer.mediaType) && !byTitle.has(imageBlob(layer))) continue
      yield { layer: imageLayer(layer, byTitle), title: `${image}, layer ${place + 1} of ${layers.length}` }
    }
  }
}

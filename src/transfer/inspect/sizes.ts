import { distinct } from '../../content/copy-graph.ts'
import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { MAX_MANIFEST_BYTES } from '../../content/manifest.ts'
import { forEachConcurrent } from '../../lib/concurrent.ts'
import { AppError } from '../../lib/errors.ts'
import { createBreathing } from '../../lib/loop/breathe.ts'
import { componentImages, openImages, type PackageImages } from '../../zarf/select.ts'
import { totalBytes } from '../plan.ts'
import { definitionOf, sizeOf } from './facts.ts'
import type { InspectablePackage } from './inspectable.ts'

export interface ComponentSize {
  readonly name: string
  /** Bytes that it alone would bring: its files, and the blobs of its images each once. */
  readonly size: number
  readonly files: number
  readonly images: number
}

export interface PackageSizes {
  /** Bytes of layers and config, each digest once. */
  readonly size: number
  /** Of all images together, each blob once. */
  readonly images: number
  readonly components: readonly ComponentSize[]
}

/** Each of an image, or of one of its architectures. */
const MAX_MANIFESTS = 2000
/** All are held until the sizes are known. */
const MAX_MANIFESTS_BYTES = 64 * 2 ** 20
const AT_ONCE = 6

/**
 * How much of a package each component is; of its images their manifests are read, nothing else. Throws PACKAGE_INVALID
 * naming what is missing, PACKAGE_TOO_LARGE beyond 2,000 manifests or 64 MiB of them.
 */
export async function sizesOf(found: InspectablePackage): Promise<PackageSizes> {
  const { definition } = await definitionOf(found)
  const components = definition.components ?? []
  const { byTitle } = found.layers
  const images = componentImages(components).length === 0 ? undefined : await openAll(found)
  const sizes: ComponentSize[] = []
  const all = new Set<string>()
  const breathe = createBreathing()
  for (const component of components) {
    await breathe()
    found.signal.throwIfAborted()
    const name = component.name ?? ''
    const titles = (await images?.titlesOf(componentImages([component]))) ?? new Set<string>()
    for (const title of titles) all.add(title)
    const [files, imageBytes] = [byTitle.get(`components/${name}.tar`)?.size ?? 0, bytesOf(titles, byTitle)]
    sizes.push({ name, size: files + imageBytes, files, images: imageBytes })
  }
  return {
    size: sizeOf(found.layers),
    images: bytesOf(all, byTitle),
    components: sizes,
  }
}

/** All manifests are read a few at once, and each once. */
async function openAll(found: InspectablePackage): Promise<PackageImages> {
  const read = new Map<Digest, Promise<Buffer>>()
  let held = 0
  const source = {
    byTitle: found.layers.byTitle,
    read: (layer: Descriptor) => {
      const known = read.get(layer.digest)
      if (known) return known
      if (read.size > MAX_MANIFESTS) throw tooMany()
      if (layer.size > MAX_MANIFEST_BYTES) throw tooLarge(layer)
      held += layer.size
      if (held > MAX_MANIFESTS_BYTES) throw tooManyBytes()
      const bytes = found.read(layer)
      // Whoever asks for it again is told.
      bytes.catch(() => undefined)
      read.set(layer.digest, bytes)
      return bytes
    },
  }
  const images = await openImages(source)
  const options = { limit: AT_ONCE, signal: found.signal }
  await forEachConcurrent(images.manifests, options, async (layer) => void (await source.read(layer)))
  return images
}

function bytesOf(titles: ReadonlySet<string>, byTitle: ReadonlyMap<string, Descriptor>): number {
  return totalBytes(distinct([...titles].flatMap((title) => byTitle.get(title) ?? [])))
}

function tooMany(): AppError {
  return new AppError('PACKAGE_TOO_LARGE', `the package has more than ${MAX_MANIFESTS} manifests of images`, {
    hint: 'Pull the package to learn the sizes of its components.',
    details: { limit: MAX_MANIFESTS },
  })
}

function tooManyBytes(): AppError {
  const message = `the manifests of the package's images have more than ${MAX_MANIFESTS_BYTES} bytes together`
  return new AppError('PACKAGE_TOO_LARGE', message, { details: { limit: MAX_MANIFESTS_BYTES } })
}

function tooLarge({ digest, size }: Descriptor): AppError {
  return new AppError('PACKAGE_TOO_LARGE', `the manifest ${digest} of an image has ${size} bytes`, {
    details: { digest, size, limit: MAX_MANIFEST_BYTES },
  })
}

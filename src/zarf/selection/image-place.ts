import { crc32 } from 'node:zlib'
import type { Digest } from '../../content/digest.ts'
import { type Destination, parseReference, repositoryFor } from '../../content/reference.ts'
import { parseImageReference } from './image-reference.ts'

/** Where an image of a package goes. */
export interface ImagePlace {
  readonly repository: string
  /** None where the image is named by its digest: it goes by that. */
  readonly tags: readonly string[]
  readonly digest?: Digest
}

export interface ImagePlaceOptions {
  /** Whether it has a tag with zarf's checksum, too: what zarf's agent asks for in a cluster. */
  readonly checksum: boolean
}

/**
 * Where zarf puts an image into a registry: under its own path, by its tag with the CRC-32 of the whole name behind it (two images
 * of one path and tag from two registries stay apart), and for all others by its tag alone. One that comes from that very registry keeps
 * its place. Throws REFERENCE_INVALID. Source: zarf v0.84 src/pkg/transform/image.go, src/pkg/images/push.go.
 */
export function imagePlace(image: string, destination: Destination, { checksum }: ImagePlaceOptions): ImagePlace {
  const { registry, repository: path, tag, digest } = parseReference(parseImageReference(image).full)
  const isThere = registry === destination.registry
  const repository = isThere ? path : repositoryFor(destination, path)
  if (digest !== undefined) return { repository, tags: [], digest }
  if (tag === undefined) return { repository, tags: [] }
  const checked = `${tag}-zarf-${crc32(`${registry}/${path}`)}`
  return { repository, tags: checksum && !isThere ? [checked, tag] : [tag] }
}

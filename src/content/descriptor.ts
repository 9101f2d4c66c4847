import type { Digest } from './digest.ts'

/** Source: OCI image-spec v1.1.1 image-index.md "platform". Zarf sets os `multi`. */
export interface Platform {
  architecture: string
  os: string
}

/** What names one piece of content. Source: OCI image-spec v1.1.1 descriptor.md "Properties". */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
  readonly annotations?: Readonly<Record<string, string>>
  readonly platform?: Readonly<Platform>
  readonly artifactType?: string
}

export const TITLE_ANNOTATION = 'org.opencontainers.image.title'

/** The file path a layer carries, or undefined. Untrusted text: never a path on our disk without a check. */
export function descriptorTitle(descriptor: Descriptor): string | undefined {
  return descriptor.annotations?.[TITLE_ANNOTATION]
}

/** How errors and logs name a descriptor's blob. */
export function blobName(descriptor: Pick<Descriptor, 'digest' | 'annotations'>): string {
  const title = descriptor.annotations?.[TITLE_ANNOTATION]
  return title === undefined ? descriptor.digest : `${title} (${descriptor.digest})`
}

/** What short messages call a blob: its title, else its digest. */
export function titleOrDigest(descriptor: Pick<Descriptor, 'digest' | 'annotations'>): string {
  return descriptor.annotations?.[TITLE_ANNOTATION] ?? descriptor.digest
}

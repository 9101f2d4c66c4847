/** Media types by their standard names. Source: OCI image-spec v1.1.1; zarf-packages.md 7.1. */
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_MANIFEST_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
/** Withdrawn from image-spec; read, and written where a job asks for it (oci-client.md G5). */
export const OCI_ARTIFACT_MANIFEST = 'application/vnd.oci.artifact.manifest.v1+json'
export const ZARF_LAYER = 'application/vnd.zarf.layer.v1.blob'
export const ZARF_CONFIG = 'application/vnd.zarf.config.v1+json'
/** The artifact type that zarf-dev/zarf#5205 proposes; image manifests go without one, as zarf's do. */
export const ZARF_PACKAGE = 'application/vnd.zarf.package.v1+json'
/** Of `{}`, which stands where there is nothing. */
export const EMPTY_JSON = 'application/vnd.oci.empty.v1+json'
export const OCTET_STREAM = 'application/octet-stream'

/** What a manifest request must accept (oci-client.md M1). */
export const MANIFEST_ACCEPT: readonly string[] = [
  OCI_MANIFEST,
  OCI_INDEX,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_ARTIFACT_MANIFEST,
]

/** A media type as a message tells it: what a registry calls none of these may be anything. */
export function toldMediaType(mediaType: string): string {
  return MANIFEST_ACCEPT.includes(mediaType) ? mediaType : 'something else'
}

export function isIndexMediaType(mediaType: string): boolean {
  return mediaType === OCI_INDEX || mediaType === DOCKER_MANIFEST_LIST
}

export function isManifestMediaType(mediaType: string): boolean {
  return mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST || mediaType === OCI_ARTIFACT_MANIFEST
}

/** Layers that may not be handed on; who pulls an image gets them from elsewhere. Source: OCI image-spec v1.1.1 layer.md. */
export function isNotDistributed(mediaType: string): boolean {
  return /nondistributable|rootfs\.foreign/.test(mediaType)
}

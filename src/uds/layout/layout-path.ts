import { type Digest, sha256Digest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'

/** Files of an OCI image layout. Source: OCI image-spec v1.1.1 image-layout.md. */
export const LAYOUT_FILE = 'oci-layout'
export const INDEX_FILE = 'index.json'

/** As uds and its libraries write it. */
export const LAYOUT_BYTES = Buffer.from('{"imageLayoutVersion":"1.0.0"}')

/** It names one manifest. */
const MAX_INDEX_BYTES = 1024 * 1024

const BLOB = /^blobs\/sha256\/(?<hex>[0-9a-f]{64})$/

/** What an entry of a bundle's archive is. Throws PACKAGE_INVALID for what no bundle holds, PACKAGE_TOO_LARGE. */
export function parseLayoutPath(
  { path, size }: { path: string; size: number },
  fileName: string,
): Digest | 'index' | 'layout' {
  const hex = BLOB.exec(path)?.groups?.['hex']
  if (hex !== undefined) return sha256Digest(hex)
  if (path !== INDEX_FILE && path !== LAYOUT_FILE) throw foreign(path, fileName)
  if (size > MAX_INDEX_BYTES) {
    throw new AppError('PACKAGE_TOO_LARGE', `${path} has ${size} bytes; more than ${MAX_INDEX_BYTES} are not read`, {
      details: { path, size, limit: MAX_INDEX_BYTES },
    })
  }
  return path === INDEX_FILE ? 'index' : 'layout'
}

export function blobPath(digest: Digest): string {
  return `blobs/${digest.replace(':', '/')}`
}

function foreign(path: string, fileName: string): AppError {
  const isPackage = path === 'zarf.yaml' || path === 'checksums.txt'
  return new AppError('PACKAGE_INVALID', `${fileName} holds ${path}, which no bundle of uds does`, {
    details: { path },
    hint: isPackage
      ? 'It is a Zarf package under a name that bundles have: give it the name that zarf gives it.'
      : 'A bundle is an OCI image layout and nothing else: make it again with uds create.',
  })
}

import { AppError } from '../../lib/errors.ts'

export const DEFINITION = 'zarf.yaml'
export const CHECKSUMS = 'checksums.txt'
export const LEGACY_SIGNATURE = 'zarf.yaml.sig'
export const SIGSTORE_BUNDLE = 'zarf.bundle.sig'
/** What an update's archive begins with, and no package holds. Source: docs/adr/0031. */
export const UPDATE_LIST = 'layerd-update.json'

/** What is read whole into memory may not be larger: these files are small, and a bomb is not. */
export const MAX_METADATA_BYTES = 16 * 1024 * 1024
/** The largest real ones have under 1 MiB. */
const MAX_DEFINITION_BYTES = 4 * 1024 * 1024

/** For a file that is held in memory. Throws PACKAGE_TOO_LARGE. */
export function checkMetadataSize({ path, size }: { path: string; size: number }): void {
  const limit = path === DEFINITION ? MAX_DEFINITION_BYTES : MAX_METADATA_BYTES
  if (size <= limit) return
  throw new AppError('PACKAGE_TOO_LARGE', `${path} has ${size} bytes; more than ${limit} are not read`, {
    hint: 'Such a file describes the package and is small in every package that zarf made.',
    details: { path, size, limit },
  })
}

/** Files that checksums.txt never lists. Source: zarf v0.84 layout/package.go validatePackageIntegrity. */
const NEVER_LISTED: ReadonlySet<string> = new Set([DEFINITION, CHECKSUMS, LEGACY_SIGNATURE, SIGSTORE_BUNDLE])

export function isNeverListed(path: string): boolean {
  return NEVER_LISTED.has(path)
}

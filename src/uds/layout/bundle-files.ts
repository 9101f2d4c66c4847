import { AppError } from '../../lib/errors.ts'

/** Titles of a bundle's own layers. zarf-packages.md 4.2. */
export const BUNDLE_DEFINITION = 'uds-bundle.yaml'
export const BUNDLE_SIGNATURE = 'uds-bundle.yaml.sig'

/** uds v0.35 knows a bundle's archive by its name alone. zarf-packages.md 4.1. */
const ARCHIVE = /^uds-bundle-[^-]*-.*\.tar(?:\.zst)?$/

export function isBundleArchive(fileName: string): boolean {
  return ARCHIVE.test(fileName)
}

/** What uds calls it: never `.tar`, whatever metadata.uncompressed says. Source: uds v0.35 pkg/legacy/bundle/pull.go. */
export function bundleFileName({
  name,
  architecture,
  version,
}: {
  name: string
  architecture: string
  version: string | null
}): string {
  return `uds-bundle-${name}-${architecture}-${version ?? ''}.tar.zst`
}

/** As a zarf.yaml's. */
const MAX_DEFINITION_BYTES = 4 * 1024 * 1024

/** It is read whole. Throws PACKAGE_TOO_LARGE. */
export function checkDefinitionSize(size: number): void {
  if (size <= MAX_DEFINITION_BYTES) return
  throw new AppError(
    'PACKAGE_TOO_LARGE',
    `${BUNDLE_DEFINITION} has ${size} bytes; more than ${MAX_DEFINITION_BYTES} are not read`,
    { details: { path: BUNDLE_DEFINITION, size, limit: MAX_DEFINITION_BYTES } },
  )
}

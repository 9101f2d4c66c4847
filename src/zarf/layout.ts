import { AppError } from '../lib/errors.ts'
import type { PackageDefinition } from './definition-shape.ts'
import type { PackageIdentity } from './types.ts'

export const DEFINITION = 'zarf.yaml'
export const CHECKSUMS = 'checksums.txt'
const LEGACY_SIGNATURE = 'zarf.yaml.sig'
const BUNDLE_SIGNATURE = 'zarf.bundle.sig'

/** What is read whole into memory may not be larger: these files are small, and a bomb is not. */
export const MAX_METADATA_BYTES = 16 * 1024 * 1024

/** Files that checksums.txt never lists. Source: zarf v0.84 layout/package.go validatePackageIntegrity. */
const NEVER_LISTED: ReadonlySet<string> = new Set([DEFINITION, CHECKSUMS, LEGACY_SIGNATURE, BUNDLE_SIGNATURE])

export function isNeverListed(path: string): boolean {
  return NEVER_LISTED.has(path)
}

/** Whether a package counts as signed: its own word, or, from before that word existed, its signature file. */
export function isSigned(definition: PackageDefinition, paths: Iterable<string>): boolean {
  return definition.build?.signed ?? [...paths].includes(LEGACY_SIGNATURE)
}

/**
 * The name zarf gives the archive of this package. Throws PACKAGE_INVALID without a build architecture.
 * Source: zarf v0.84 layout/package.go FileName.
 */
export function packageFileName(definition: PackageDefinition): string {
  const { metadata = {}, build = {}, kind = 'ZarfPackageConfig' } = definition
  if (!build.architecture) {
    throw new AppError('PACKAGE_INVALID', `${DEFINITION} has no build.architecture, so the package has no file name`)
  }
  const parts = [...kindParts(kind, metadata.name ?? ''), build.architecture]
  if (build.differential) {
    parts.push(build.differentialPackageVersion ?? '', 'differential', metadata.version ?? '')
  } else if (metadata.version) {
    parts.push(metadata.version)
  }
  if (build.flavor) parts.push(build.flavor)
  const name = parts.join('-').split('/').at(-1)
  return `${name}${metadata.uncompressed ? '.tar' : '.tar.zst'}`
}

function kindParts(kind: string, name: string): string[] {
  if (kind === 'ZarfPackageConfig') return ['zarf', 'package', name]
  return kind === 'ZarfInitConfig' ? ['zarf', 'init'] : ['zarf', kind.toLowerCase()]
}

const CONVENTIONAL =
  /^zarf-(?:package-(?<name>[a-z0-9][a-z0-9-]*?)|init)-(?<architecture>amd64|arm64|skeleton|386|arm|ppc64le|riscv64|s390x)(?:-(?<rest>.+?))?\.tar(?:\.zst)?$/

/**
 * Identity from a conventional file name, or undefined. Version and flavor cannot be told apart in it, and need not be:
 * a tag joins them the same way. A name that holds the word of an architecture may be cut short; zarf.yaml decides.
 */
export function guessFromFileName(fileName: string): PackageIdentity | undefined {
  const { name = 'init', architecture, rest } = CONVENTIONAL.exec(fileName)?.groups ?? {}
  if (architecture === undefined) return undefined
  const version = rest?.replace(/^.*-differential-/, '')
  return { name, version, flavor: undefined, architecture }
}

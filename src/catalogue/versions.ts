import semver from 'semver'

/** Longer ones than any version is; semver reads 256 characters. */
const MAX_LENGTH = 128
const NUMERIC = new Intl.Collator('en', { numeric: true })

export type Version = semver.SemVer

/**
 * A version with an order: of SemVer 2.0.0, also with a `v` before it, and `1` or `1.2`, which stand for 1.0.0 and 1.2.0.
 * Undefined for any other text.
 */
export function parseVersion(text: string): Version | undefined {
  if (text.length > MAX_LENGTH) return undefined
  const short = /^v?(\d{1,15})(?:\.(\d{1,15}))?$/.exec(text)
  return semver.parse(short ? `${short[1]}.${short[2] ?? 0}.0` : text) ?? undefined
}

/** Highest first; those without an order come last, by their numbers and letters. Never 0 for different texts. */
export function compareVersions(a: string, b: string): number {
  const [one, other] = [parseVersion(a), parseVersion(b)]
  if (one && other) return semver.compareBuild(other, one) || byText(a, b)
  if (one || other) return one ? -1 : 1
  return byText(a, b)
}

function byText(a: string, b: string): number {
  return NUMERIC.compare(b, a) || (a === b ? 0 : a < b ? 1 : -1)
}

export function isPrerelease(text: string): boolean {
  return (parseVersion(text)?.prerelease.length ?? 0) > 0
}

export interface Newer {
  readonly than: Version
  /** Pre-releases count too. */
  readonly prereleases: boolean
}

/** By precedence, for which build metadata does not count (SemVer 10). */
export function isNewer(text: string, { than, prereleases }: Newer): boolean {
  const version = parseVersion(text)
  if (!version || (version.prerelease.length > 0 && !prereleases)) return false
  return semver.gt(version, than)
}

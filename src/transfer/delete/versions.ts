/** A version that a tag says, for comparing: numbers, and what comes before a release. Source: semver.org 2.0.0, 9 to 11. */
export interface Version {
  readonly numbers: readonly number[]
  /** Empty for a release. */
  readonly prerelease: readonly string[]
}

/** One to three numbers, "v" before them or not; the rest as semver has it, "_" for the "+" that no tag may have. */
const VERSION =
  /^v?(\d{1,15})(?:\.(\d{1,15}))?(?:\.(\d{1,15}))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:_[0-9A-Za-z._-]+)?$/

/** Undefined for a tag that says no version. */
export function versionOf(tag: string): Version | undefined {
  const [, major, minor = '0', patch = '0', prerelease = ''] = VERSION.exec(tag) ?? []
  if (major === undefined) return undefined
  return {
    numbers: [major, minor, patch].map(Number),
    prerelease: prerelease === '' ? [] : prerelease.split('.'),
  }
}

/** Below 0 where `one` is older. */
export function compareVersions(one: Version, other: Version): number {
  for (const [at, number] of one.numbers.entries()) {
    const difference = number - (other.numbers[at] ?? 0)
    if (difference !== 0) return difference
  }
  return comparePrereleases(one.prerelease, other.prerelease)
}

/** A release comes after all that came before it. */
function comparePrereleases(one: readonly string[], other: readonly string[]): number {
  if (one.length === 0 || other.length === 0) return other.length - one.length
  for (const [at, part] of one.entries()) {
    const against = other[at]
    if (against === undefined) return 1
    const difference = compareParts(part, against)
    if (difference !== 0) return difference
  }
  return one.length - other.length
}

/** Numbers by their size, and before words. */
function compareParts(one: string, other: string): number {
  const [a, b] = [one, other].map((part) => (/^\d{1,15}$/.test(part) ? Number(part) : undefined))
  if (a !== undefined && b !== undefined) return a - b
  if (a !== undefined || b !== undefined) return a === undefined ? 1 : -1
  return one < other ? -1 : one > other ? 1 : 0
}

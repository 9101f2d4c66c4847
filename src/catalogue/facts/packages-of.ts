import type { CataloguePackage, CatalogueTag } from '../../jobs/model/catalogue.ts'
import { compareVersions, isPrerelease } from '../versions.ts'

/** Told with a package; all of them are told of its repository. */
const MAX_VERSIONS = 50
const MAX_FLAVORS = 50
const MAX_ARCHITECTURES = 50

/** The tags of a repository as packages: one for each name and kind, by name. */
export function packagesOf(tags: readonly CatalogueTag[]): readonly CataloguePackage[] {
  const groups = Map.groupBy(tags, ({ kind, name }) => `${name}\n${kind}`)
  return [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, group]) => {
      const sorted = group.toSorted(compareTags)
      const latest = sorted.find((one) => !isPrerelease(versionOf(one))) ?? sorted[0]
      return latest ? [packageOf(sorted, latest)] : []
    })
}

/** The highest version first, and of one version by tag. */
export function compareTags(a: CatalogueTag, b: CatalogueTag): number {
  return compareVersions(versionOf(a), versionOf(b)) || (a.tag < b.tag ? -1 : 1)
}

/** What a tag is put in order by. */
export function versionOf({ version, tag }: CatalogueTag): string {
  return version ?? tag
}

function packageOf(tags: readonly CatalogueTag[], latest: CatalogueTag): CataloguePackage {
  const versions = [...new Set(tags.map(versionOf))]
  const sizes = latest.architectures.map(({ size }) => size).filter((size) => size !== null)
  const { kind, name, tag, digest, version, created, signed } = latest
  return {
    kind,
    name,
    description: latest.description,
    latest: { tag, digest, version, created, signed, size: sizes.length === 0 ? null : Math.max(...sizes) },
    versions: versions.slice(0, MAX_VERSIONS),
    versionCount: versions.length,
    tagCount: tags.length,
    flavors: [...new Set(tags.flatMap(({ flavor }) => flavor ?? []))].toSorted().slice(0, MAX_FLAVORS),
    architectures: [...new Set(tags.flatMap((one) => one.architectures.map(({ architecture }) => architecture)))]
      .filter((architecture) => architecture !== '')
      .toSorted()
      .slice(0, MAX_ARCHITECTURES),
  }
}

import type { Digest } from '../../content/digest.ts'
import { toAppError } from '../../lib/errors.ts'
import type { ContentStore } from '../../store/content-store.ts'
import { computeUpdate } from '../../zarf/computed-update.ts'
import type { PackageLayers } from '../../zarf/pulled-package.ts'
import { componentImages } from '../../zarf/select.ts'
import { allBlobs } from '../../zarf/update-parts.ts'
import { definitionOf, type InspectedFile } from '../inspect/facts.ts'
import { type InspectablePackage, SBOMS } from '../inspect/inspectable.ts'
import { type ChangedSoftware, changedSoftware, softwareOf } from '../inspect/software.ts'
import { openStoredFiles } from '../inspect/stored.ts'
import { totalBytes } from '../plan.ts'
import { isRelated, readUpdate, type StoredUpdate } from './make.ts'

/** Names that came and went, and how many stayed. */
export interface ChangedNames {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly kept: number
}

export interface ComparedPackage {
  readonly digest: Digest
  readonly name: string
  readonly version: string | null
  readonly flavor: string | null
  readonly architecture: string
  /** Bytes of layers and config, each digest once. */
  readonly size: number
}

/** What is another between two packages. */
export interface PackageChanges {
  readonly package: ComparedPackage
  readonly since: ComparedPackage
  readonly bytes: { readonly toMove: number; readonly kept: number }
  /** The archive that carries it; null where the two are no versions of one package. */
  readonly update: { readonly fileName: string; readonly size: number } | null
  readonly files: {
    readonly added: readonly InspectedFile[]
    readonly removed: readonly InspectedFile[]
    readonly changed: ReadonlyArray<InspectedFile & { readonly before: Omit<InspectedFile, 'title'> }>
    readonly kept: number
  }
  readonly images: ChangedNames
  readonly components: ChangedNames
  readonly software: {
    /** At most 5,000. */
    readonly changed: readonly ChangedSoftware[]
    readonly leftOut: number
  } | null
  /** Why nothing is said of the software; null where something is. */
  readonly softwareReason: string | null
}

const MOST_SOFTWARE = 5000

/**
 * Compares two stored packages: of `since` and of the package their manifests and zarf.yaml are read, and their SBOMs where these differ.
 * Throws as readUpdate.
 */
export async function storedChanges(
  store: ContentStore,
  { digest, since, signal }: { digest: Digest; since: Digest; signal: AbortSignal },
): Promise<PackageChanges> {
  const update = await readUpdate(store, { digest, since, signal })
  const { made, base, list } = update
  const [after, before] = [await openStoredFiles(store, digest, signal), await openStoredFiles(store, since, signal)]
  const [to, from] = [await namesOf(after), await namesOf(before)]
  return {
    package: comparedOf(made),
    since: comparedOf(base),
    bytes: { toMove: totalBytes(list.included), kept: totalBytes(list.fromBase) },
    update: archiveOf(update, store),
    files: changedFiles(before.layers, after.layers),
    images: changedNames(from.images, to.images),
    components: changedNames(from.components, to.components),
    ...(await softwareBetween(before, after)),
  }
}

function archiveOf({ made, base, list }: StoredUpdate, store: ContentStore): PackageChanges['update'] {
  if (!isRelated(made.record, base.record)) return null
  const { fileName, size } = computeUpdate({ list, manifest: made.raw, baseFlavor: base.record.flavor, source: store })
  return { fileName, size }
}

function comparedOf({ record, layers }: StoredUpdate['made']): ComparedPackage {
  const { digest, name, version, flavor, architecture } = record
  return { digest, name, version, flavor, architecture, size: totalBytes(allBlobs(layers)) }
}

async function namesOf(found: InspectablePackage): Promise<Record<'images' | 'components', string[]>> {
  const { components = [] } = (await definitionOf(found)).definition
  return { images: componentImages(components), components: components.map(({ name }) => name ?? '') }
}

function changedNames(before: readonly string[], after: readonly string[]): ChangedNames {
  const [had, has] = [new Set(before), new Set(after)]
  const added = [...has].filter((name) => !had.has(name))
  return { added, removed: [...had].filter((name) => !has.has(name)), kept: has.size - added.length }
}

function changedFiles({ byTitle: before }: PackageLayers, { byTitle: after }: PackageLayers): PackageChanges['files'] {
  const fileOf = (title: string, { digest, size }: { digest: Digest; size: number }) => ({ title, digest, size })
  const added = [...after].flatMap(([title, layer]) => (before.has(title) ? [] : [fileOf(title, layer)]))
  const removed = [...before].flatMap(([title, layer]) => (after.has(title) ? [] : [fileOf(title, layer)]))
  const changed = [...after].flatMap(([title, layer]) => {
    const old = before.get(title)
    if (!old || old.digest === layer.digest) return []
    return [{ ...fileOf(title, layer), before: { digest: old.digest, size: old.size } }]
  })
  return { added, removed, changed, kept: after.size - added.length - changed.length }
}

/** What cannot be read of them keeps nobody from the rest. */
async function softwareBetween(
  before: InspectablePackage,
  after: InspectablePackage,
): Promise<Pick<PackageChanges, 'software' | 'softwareReason'>> {
  const nothing = (softwareReason: string) => ({ software: null, softwareReason })
  const [old, made] = [before.layers.byTitle.get(SBOMS), after.layers.byTitle.get(SBOMS)]
  if (!old || !made) return nothing(`${SBOMS} is not in both packages`)
  if (old.digest === made.digest) return { software: { changed: [], leftOut: 0 }, softwareReason: null }
  try {
    const [had, has] = [await softwareOf(before), await softwareOf(after)]
    if (!had || !has) return nothing(`${SBOMS} holds no SBOM in one of the two packages`)
    const changed = await changedSoftware(had, has)
    const told = changed.slice(0, MOST_SOFTWARE)
    return { software: { changed: told, leftOut: changed.length - told.length }, softwareReason: null }
  } catch (thrown) {
    after.signal.throwIfAborted()
    const error = toAppError(thrown)
    if (!UNREADABLE.has(error.code)) throw error
    return nothing(error.message)
  }
}

const UNREADABLE: ReadonlySet<string> = new Set([
  'PACKAGE_TOO_LARGE',
  'PACKAGE_INCOMPLETE',
  'PACKAGE_INVALID',
  'PACKAGE_TRUNCATED',
])

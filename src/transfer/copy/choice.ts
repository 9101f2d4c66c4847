import type { Descriptor } from '../../content/descriptor.ts'
import type { ImageIndex, RawManifest } from '../../content/manifest.ts'
import { rawManifest } from '../../content/manifest.ts'
import { AppError } from '../../lib/errors.ts'
import { goJson } from '../../oci/manifests/go-json.ts'
import type { RawEntry } from '../../oci/manifests/tag-index.ts'

/** Zarf's mark of an index entry that is a package. */
const PACKAGE_OS = 'multi'

/** What several architectures are called as one, as zarf marks its indexes. */
export const SEVERAL = 'multi'

/** Whether an index is one of Zarf packages or UDS bundles, which are merged by architecture; any other is one whole. */
export function isPackageIndex({ manifests }: ImageIndex): boolean {
  return manifests.length > 0 && manifests.every(({ platform }) => platform?.os === PACKAGE_OS)
}

/** Entries of an index, and the index that has these alone; `whole` where they are all. */
export interface ChosenEntries {
  readonly entries: readonly Descriptor[]
  readonly raw: RawManifest
  readonly whole: boolean
}

/** Throws ARCHITECTURE_NOT_FOUND with those there are. */
export function chooseEntries(
  { raw, index }: { raw: RawManifest; index: ImageIndex },
  architectures: readonly string[] | undefined,
  where: string,
): ChosenEntries {
  if (architectures === undefined) return { entries: index.manifests, raw, whole: true }
  const isChosen = ({ platform }: { platform?: { architecture?: unknown } | null }): boolean =>
    architectures.some((architecture) => architecture === platform?.architecture)
  const missing = architectures.filter((wanted) => !index.manifests.some((entry) => architectureOf(entry) === wanted))
  if (missing.length > 0) throw noSuch(missing, index.manifests.map(architectureOf), where)
  const entries = index.manifests.filter(isChosen)
  if (entries.length === index.manifests.length) return { entries, raw, whole: true }
  const body = JSON.parse(raw.bytes.toString('utf8')) as Record<string, unknown> & { manifests: RawEntry[] }
  const subset = goJson({ ...body, manifests: body.manifests.filter(isChosen) })
  return { entries, raw: rawManifest(index.mediaType, subset), whole: false }
}

/** Entries as they stand in the index's own bytes, with whatever their writers added; in its order. */
export function rawEntries(raw: RawManifest): readonly RawEntry[] {
  return (JSON.parse(raw.bytes.toString('utf8')) as { manifests: RawEntry[] }).manifests
}

export function architectureOf(entry: Descriptor): string {
  return entry.platform?.architecture ?? ''
}

/** Of a manifest that is named directly; `found`: undefined where it says none. Throws ARCHITECTURE_NOT_FOUND. */
export function checkArchitectures(
  found: string | undefined,
  architectures: readonly string[] | undefined,
  where: string,
): void {
  const missing = (architectures ?? []).filter((wanted) => wanted !== found)
  if (missing.length > 0) throw noSuch(missing, found === undefined ? [] : [found], where)
}

function noSuch(missing: readonly string[], there: readonly string[], where: string): AppError {
  const found = [...new Set(there)].filter((name) => name !== '')
  const list = found.length === 0 ? 'it names none' : `it has ${found.join(', ')}`
  return new AppError('ARCHITECTURE_NOT_FOUND', `${where} has nothing for ${missing.join(', ')}: ${list}`, {
    details: { architectures: found },
    hint: 'Choose of these with "options.architectures", or leave it out for all of them.',
  })
}

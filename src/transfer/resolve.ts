import { arch } from 'node:os'
import type { Descriptor } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import { type ImageIndex, type ImageManifest, parseManifest, type RawManifest } from '../content/manifest.ts'
import { formatReference, manifestName, type Reference } from '../content/reference.ts'
import { AppError } from '../lib/errors.ts'
import { nextTurn } from '../lib/loop/breathe.ts'
import type { Repository } from '../oci/registry.ts'
import { checkNoNextBundle } from '../uds/layout/next-bundle.ts'

/** What a reference turned out to be. */
export interface ResolvedPackage {
  readonly raw: RawManifest
  readonly manifest: ImageManifest
  /** How errors and logs name the manifest. */
  readonly where: string
  /** The index under the tag; undefined for a manifest that is named directly. */
  readonly indexDigest: Digest | undefined
  /** Those of the index, in its order, skeleton included; empty without one. */
  readonly architectures: readonly string[]
}

export interface ResolveRequest {
  readonly reference: Reference
  /** Default: the daemon's own, unless only one exists. */
  readonly architecture?: string | undefined
  /** Of an index that is of images, charts or whatever, an entry of its own. Default: those of packages alone. */
  readonly anything?: boolean
}

/** Zarf's mark of an index entry that is a package. */
const PACKAGE_OS = 'multi'
export const SKELETON = 'skeleton'

/** The machine's architecture as Go, and so Zarf, calls it. */
export function ownArchitecture(): string {
  const name = arch()
  return name === 'x64' ? 'amd64' : name
}

/**
 * Finds the package that a reference means: the index's entry for the architecture, or the manifest that lies directly
 * under a tag or digest. Only that entry is looked at, so a dangling one hurts nobody else. Throws MANIFEST_NOT_FOUND,
 * MANIFEST_INVALID, ARCHITECTURE_NOT_FOUND with those there are, SIZE_MISMATCH. Source: defenseunicorns/pkg
 * oci/fetch.go, which zarf v0.84 resolves with.
 */
export async function resolvePackage(
  repository: Repository,
  request: ResolveRequest,
  signal: AbortSignal,
): Promise<ResolvedPackage> {
  const { reference } = request
  const where = formatReference(reference)
  const raw = await repository.getManifest(manifestName(reference), { signal })
  if (!raw) throw notFound(where, reference)
  const parsed = parseManifest(raw, where)
  await nextTurn()
  if (parsed.kind === 'manifest') {
    return { raw, manifest: parsed, where, indexDigest: undefined, architectures: [] }
  }
  if (!request.anything) checkNoNextBundle(raw, where)
  const entries = request.anything ? parsed.manifests : packageEntries(parsed)
  const entry = chooseEntry(entries, { ...request, where, index: parsed })
  const found = await fetchEntry(repository, entry, { where, signal, ...request })
  return { ...found, indexDigest: raw.digest, architectures: entries.map(architectureOf) }
}

/** The entries of an index that are packages, skeleton included. */
export function packageEntries({ manifests }: ImageIndex): Descriptor[] {
  return manifests.filter(({ platform }) => platform?.os === PACKAGE_OS)
}

/** One stands for all of a tag. A skeleton is made from the same definition, without its flavor. */
export function mostLikely(entries: readonly Descriptor[]): Descriptor | undefined {
  const own = ownArchitecture()
  const whole = entries.filter((entry) => architectureOf(entry) !== SKELETON)
  return whole.find((entry) => architectureOf(entry) === own) ?? whole[0] ?? entries[0]
}

/** Throws ARCHITECTURE_NOT_FOUND when a package named directly is not of the architecture that was asked for. */
export function checkArchitecture(found: string, { reference, architecture }: ResolveRequest): void {
  if (architecture === undefined || architecture === found) return
  throw noArchitecture([found], { where: formatReference(reference), architecture })
}

function chooseEntry(
  entries: readonly Descriptor[],
  wanted: { architecture?: string | undefined; where: string; index: ImageIndex },
): Descriptor {
  const named = (architecture: string) => entries.find((entry) => architectureOf(entry) === architecture)
  if (wanted.architecture !== undefined) {
    const entry = named(wanted.architecture)
    if (entry) return entry
    throw noArchitecture(entries.map(architectureOf), { where: wanted.where, architecture: wanted.architecture })
  }
  const own = named(ownArchitecture())
  if (own) return own
  // A skeleton is for Zarf's imports, not for deploying: nobody gets it without asking.
  const deployable = entries.filter((entry) => architectureOf(entry) !== SKELETON)
  if (deployable.length === 1) return deployable[0] as Descriptor
  throw noArchitecture(entries.map(architectureOf), { where: wanted.where, architecture: ownArchitecture() })
}

export async function fetchEntry(
  repository: Repository,
  entry: Descriptor,
  { where, signal, anything = false }: { where: string; signal: AbortSignal } & Pick<ResolveRequest, 'anything'>,
): Promise<Pick<ResolvedPackage, 'raw' | 'manifest' | 'where'>> {
  const architecture = architectureOf(entry)
  const raw = await repository.getManifest(entry.digest, { signal })
  if (!raw) {
    throw new AppError('MANIFEST_NOT_FOUND', `${where} names ${entry.digest} for ${architecture}, and that is gone`, {
      details: { digest: entry.digest, architecture },
      hint: `The tag's other architectures still work; publish ${architecture} again.`,
    })
  }
  if (raw.bytes.length !== entry.size) {
    throw new AppError(
      'SIZE_MISMATCH',
      `the manifest of ${where} for ${architecture} has ${raw.bytes.length} bytes, and its index says ${entry.size}`,
      { details: { digest: entry.digest, expected: entry.size, found: raw.bytes.length } },
    )
  }
  const manifest = parseManifest(raw, `${where} (${architecture})`)
  if (!anything) checkNoNextBundle(raw, where)
  await nextTurn()
  if (manifest.kind === 'manifest') return { raw, manifest, where: `${where} (${architecture})` }
  throw new AppError('MANIFEST_INVALID', `${where} has an index inside its index for ${architecture}`)
}

export function architectureOf(entry: Descriptor): string {
  return entry.platform?.architecture ?? ''
}

/** `name:tag@digest` is answered as the tag: the digest has its own field. */
export function named({ digest, ...reference }: Reference): Reference {
  return reference.tag === undefined && digest !== undefined ? { ...reference, digest } : reference
}

export function notFound(where: string, reference: Reference): AppError {
  return new AppError('MANIFEST_NOT_FOUND', `there is no ${where}`, {
    upstream: {
      registry: reference.registry,
      repository: reference.repository,
      reference: reference.digest ?? reference.tag ?? '',
    },
    hint: 'Check name and version; a registry also says so for what the credentials may not see.',
  })
}

function noArchitecture(found: readonly string[], wanted: { where: string; architecture: string }): AppError {
  const list = found.length === 0 ? 'it has no packages' : `it has ${found.join(', ')}`
  return new AppError('ARCHITECTURE_NOT_FOUND', `${wanted.where} has nothing for ${wanted.architecture}: ${list}`, {
    details: { architecture: wanted.architecture, architectures: found },
    hint: 'Choose one with "options.architecture".',
  })
}

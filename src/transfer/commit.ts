import type { Descriptor } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import type { ManifestKind, RawManifest } from '../content/manifest.ts'
import { OCI_ARTIFACT_MANIFEST, ZARF_PACKAGE } from '../content/media-types.ts'
import { formatReference, type Reference } from '../content/reference.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { type IndexEntry, indexHolds, updateIndex, type UpdateIndexOptions } from '../oci/manifests/index-manifest.ts'
import type { UpdatedIndex } from '../oci/manifests/tag-index.ts'
import type { Repository } from '../oci/registry.ts'
import { buildArtifactManifest, buildRelatedManifest, type ManifestRelations } from '../zarf/package.ts'
import type { OnEvent } from './events.ts'
import { checkManifestSize, type Publishable } from './plan.ts'
import { tellReferrer } from './refer.ts'

/** What a committer needs from the job layer. */
export interface Ownership {
  /** Throws JOB_FENCED or JOB_CANCELED when this run may no longer write. Asked right before each visible write, at each try. */
  checkOwnership(): Promise<void>
  /** Runs `task` as the only one of layerd's writers of this reference; its signal aborts when the lock is lost. */
  lockTag<T>(reference: string, task: (signal: AbortSignal) => Promise<T>): Promise<T>
}

/** How long after a disturbed write a foreign client may still put back the index that it read before. */
const LOOK_AGAIN_MS = 5000
/** How often an entry that a foreign client dropped is put back. */
const MAX_REPEATS = 5

export interface CommitTarget {
  repository: Repository
  tag: string
  /** Default image. */
  kind?: ManifestKind
  /** What the manifest says beside what zarf's says. Default: nothing. */
  relations?: ManifestRelations
}

export interface CommitOptions extends Ownership {
  onEvent: OnEvent
  signal: AbortSignal
  /** Default: the system's. */
  clock?: Clock
}

/**
 * Makes a package visible: its manifest by digest, then the index under the tag, the only moment others see. All blobs
 * are there before (OCI distribution-spec v1.1.1 "Pushing Manifests"). Throws TAG_CONTENDED when a foreign client keeps
 * dropping the entry; MANIFEST_UNSUPPORTED where an artifact manifest alone was asked for and the registry takes none.
 */
export async function commit(
  contents: Publishable,
  target: CommitTarget,
  options: CommitOptions,
): Promise<{ reference: Reference; manifest: RawManifest; indexDigest: Digest }> {
  const { repository, tag } = target
  options.onEvent({ type: 'phase', phase: 'committing' })
  const manifest = await putManifest(contents, target, options)
  const { mediaType, digest, bytes } = manifest
  const { artifactType, subject } = target.relations ?? {}
  if (subject) await tellReferrer(manifest, { repository, subject: subject.digest }, options)
  const entry: IndexEntry = {
    descriptor: { mediaType, digest, size: bytes.length, ...artifactTypeOf(mediaType, artifactType) },
    architecture: contents.identity.architecture,
  }
  const reference = { registry: repository.registry, repository: repository.repository, tag }
  return { reference, manifest, indexDigest: await putEntries([entry], target, options) }
}

function artifactTypeOf(mediaType: string, given: string | undefined): Pick<Descriptor, 'artifactType'> {
  const artifactType = given ?? (mediaType === OCI_ARTIFACT_MANIFEST ? ZARF_PACKAGE : undefined)
  return artifactType === undefined ? {} : { artifactType }
}

/** What a package may be published as. Throws MANIFEST_TOO_LARGE. */
export async function manifestsOf(
  contents: Publishable,
  { kind = 'image', relations }: Pick<CommitTarget, 'kind' | 'relations'>,
): Promise<{ image: RawManifest; artifact: RawManifest | undefined }> {
  const made = contents.manifest
  // What was pulled from a registry may have been an artifact manifest.
  const isArtifact = made.mediaType === OCI_ARTIFACT_MANIFEST
  const image = relations || isArtifact ? await buildRelatedManifest(ofPackage(contents), relations ?? {}) : made
  checkManifestSize(image.bytes.length, contents.layers.length)
  if (kind === 'image') return { image, artifact: undefined }
  const artifact = isArtifact && !relations ? made : await buildArtifactManifest(ofPackage(contents), relations)
  checkManifestSize(artifact.bytes.length, contents.layers.length)
  return { image, artifact }
}

async function putManifest(
  contents: Publishable,
  { repository, kind = 'image', relations }: CommitTarget,
  options: CommitOptions,
): Promise<RawManifest> {
  const { signal, onEvent } = options
  const call = { signal, guard: () => options.checkOwnership() }
  const { image, artifact } = await manifestsOf(contents, { kind, ...(relations ? { relations } : {}) })
  const one = kind === 'auto' ? undefined : (artifact ?? image)
  if (one || !artifact) {
    const manifest = one ?? image
    await repository.putManifest(manifest.digest, manifest, call)
    return manifest
  }
  return await repository.putArtifactOrImage(
    { artifact, image },
    {
      ...call,
      onImage(refusal) {
        const why = refusal?.message ?? `${repository.registry} is known to take no artifact manifests`
        onEvent({ type: 'log', level: 'info', message: `${why}; publishing an image manifest` })
      },
    },
  )
}

/** A bundle's manifest is never made anew: who asks for that was refused before (publish.ts). */
function ofPackage({ definition, ...rest }: Publishable): Publishable & Required<Pick<Publishable, 'definition'>> {
  if (definition) return { definition, ...rest }
  throw new AppError('INTERNAL', 'a manifest was to be made of what is no package')
}

/** Lets a tag mean this manifest and nothing else, whatever it meant before. */
export async function putTag(
  manifest: RawManifest,
  { repository, tag }: Pick<CommitTarget, 'repository' | 'tag'>,
  options: Ownership,
): Promise<void> {
  const where = formatReference({ registry: repository.registry, repository: repository.repository, tag })
  await options.lockTag(where, (locked) =>
    repository.putManifest(tag, manifest, { signal: locked, guard: () => options.checkOwnership() }),
  )
}

/**
 * The index is written under our own lock. Who else wrote it meanwhile may have read it before and write once more: the
 * entries are looked for again a little later, without the lock, and put back where they are gone.
 */
export async function putEntries(
  entries: readonly IndexEntry[],
  target: Pick<UpdateIndexOptions, 'repository' | 'tag' | 'fresh'>,
  options: CommitOptions,
): Promise<Digest> {
  const { clock = systemClock, signal, onEvent } = options
  const { registry, repository } = target.repository
  const where = formatReference({ registry, repository, tag: target.tag })
  const told = new Set<string>()
  const write = (): Promise<UpdatedIndex> =>
    options.lockTag(where, (locked) =>
      updateIndex({
        ...target,
        entries,
        guard: () => options.checkOwnership(),
        signal: locked,
        onWarning(code, message) {
          if (!told.has(message)) onEvent({ type: 'warning', code, message })
          told.add(message)
        },
      }),
    )
  let written = await write()
  for (let repeats = 0; written.contended; repeats += 1) {
    await clock.sleep(LOOK_AGAIN_MS, signal)
    const held = await indexHolds({ ...target, entries, signal })
    if (held) return held
    if (repeats === MAX_REPEATS) {
      throw new AppError('TAG_CONTENDED', `another client keeps dropping this package from ${where}`, {
        hint: 'Publish to this tag from one place at a time, or retry the job.',
        upstream: { registry, repository, reference: target.tag },
      })
    }
    // An undisturbed write may still be one between two of the other client's.
    written = { ...(await write()), contended: true }
  }
  return written.indexDigest
}

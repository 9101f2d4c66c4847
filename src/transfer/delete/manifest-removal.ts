import type { Digest } from '../../content/digest.ts'
import { parseManifest, type RawManifest, successors } from '../../content/manifest.ts'
import { formatReference } from '../../content/reference.ts'
import { type AppError, isAppError } from '../../lib/errors.ts'
import { dropReferrer } from '../../oci/manifests/referrers-tag.ts'
import { referrersTag } from '../../oci/manifests/referrers.ts'
import type { Repository } from '../../oci/registry.ts'
import type { DeleteDependencies } from './request.ts'
import type { Survey } from './survey.ts'

export interface ManifestRemoval {
  /** Those that are gone, with what they were where they were there. */
  readonly removed: ReadonlyMap<Digest, RawManifest | undefined>
  /** Those that are there. */
  readonly left: readonly Digest[]
  readonly problems: readonly AppError[]
}

export interface ManifestRemovalOptions {
  readonly repository: Repository
  readonly survey: Survey
  /** `byUs`: it was there. */
  readonly onGone: (digest: Digest, byUs: boolean) => void
}

/**
 * Deletes manifests in their order, in which those that name others come first: what a manifest names stays where that one could not
 * be deleted. What is refused for good is a problem, and nothing more is asked of a registry that deletes none. Throws what passes by.
 */
export async function removeManifests(
  manifests: readonly Digest[],
  options: ManifestRemovalOptions,
  dependencies: DeleteDependencies,
): Promise<ManifestRemoval> {
  const removed = new Map<Digest, RawManifest | undefined>()
  const left = new Set<Digest>()
  const problems: AppError[] = []
  for (const digest of manifests) {
    if (problems.some(({ code }) => code === 'REGISTRY_DELETE_UNSUPPORTED')) {
      left.add(digest)
      continue
    }
    const raw = await options.repository.getManifest(digest, { signal: dependencies.signal })
    const problem = left.has(digest) ? undefined : await removeOne(raw, { ...options, going: manifests }, dependencies)
    if (problem) problems.push(problem)
    if (problem || left.has(digest)) {
      for (const named of [digest, ...(raw ? namedBy(raw) : [])]) left.add(named)
      continue
    }
    removed.set(digest, raw)
    options.onGone(digest, raw !== undefined)
  }
  return { removed, left: manifests.filter((digest) => left.has(digest)), problems }
}

async function removeOne(
  raw: RawManifest | undefined,
  { repository, survey, going }: ManifestRemovalOptions & { going: readonly Digest[] },
  dependencies: DeleteDependencies,
): Promise<AppError | undefined> {
  if (!raw) return undefined
  const { signal } = dependencies
  try {
    const subject = subjectOf(raw)
    const list = subject && referrersTag(subject)
    // A list that goes itself is not written anew before.
    if (subject && list && survey.has(list) && !going.includes(subject)) {
      await dropFrom(subject, raw.digest, { repository, dependencies })
    }
    await repository.deleteManifest(raw.digest, { signal, guard: () => dependencies.checkOwnership() })
    return undefined
  } catch (error) {
    return forGood(error)
  }
}

/** What names a manifest that is gone makes clients fail, so that the list is written before. */
async function dropFrom(
  subject: Digest,
  digest: Digest,
  { repository, dependencies }: { repository: Repository; dependencies: DeleteDependencies },
): Promise<void> {
  const list = formatReference({
    registry: repository.registry,
    repository: repository.repository,
    tag: referrersTag(subject),
  })
  const guard = () => dependencies.checkOwnership()
  await dependencies.lockTag(list, (signal) => dropReferrer({ repository, subject, digest, guard, signal }))
}

/** Throws what passes by, and what is wrong with layerd or with the right to go on. */
export function forGood(error: unknown): AppError {
  if (!isAppError(error) || error.retry !== 'permanent') throw error
  if (error.code === 'INTERNAL' || error.code.startsWith('JOB_')) throw error
  return error
}

/** What a manifest refers to. */
export function subjectOf(raw: RawManifest): Digest | undefined {
  const parsed = parseManifest(raw, raw.digest)
  return parsed.kind === 'manifest' ? parsed.subject?.digest : undefined
}

function namedBy(raw: RawManifest): readonly Digest[] {
  return successors(parseManifest(raw, raw.digest)).map(({ digest }) => digest)
}

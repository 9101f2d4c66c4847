import type { Descriptor } from '../content/descriptor.ts'
import { type Digest, isDigest } from '../content/digest.ts'
import { type ImageManifest, parseManifest, type RawManifest } from '../content/manifest.ts'
import { formatReference } from '../content/reference.ts'
import { AppError, type ErrorCode, isAppError } from '../lib/errors.ts'
import { addReferrer } from '../oci/manifests/referrers-tag.ts'
import { referrersTag } from '../oci/manifests/referrers.ts'
import type { Repository } from '../oci/registry.ts'
import type { CommitOptions } from './commit.ts'

/**
 * What a tag or digest of a repository names, as a manifest refers to it: a registry takes one that refers to nothing, and
 * nobody would ever find it. Throws MANIFEST_NOT_FOUND.
 */
export async function findSubject(repository: Repository, name: string, signal: AbortSignal): Promise<Descriptor> {
  const found = await repository.getManifest(name, { signal })
  if (found) return { mediaType: found.mediaType, digest: found.digest, size: found.bytes.length }
  const place = { registry: repository.registry, repository: repository.repository }
  const where = formatReference({ ...place, ...(isDigest(name) ? { digest: name } : { tag: name }) })
  throw new AppError('MANIFEST_NOT_FOUND', `there is no ${where}, which was to be referred to`, {
    hint: '"options.subject" is a tag or digest in the repository that is published to.',
    upstream: { ...place, reference: name },
  })
}

/** What keeps a list from being written, and the package from nothing. Source: oci-client.md F4. */
const LIST_ALONE: ReadonlySet<ErrorCode> = new Set([
  'TAG_IMMUTABLE',
  'TAG_NOT_INDEX',
  'TAG_CONTENDED',
  'MANIFEST_TOO_LARGE',
  'REGISTRY_DENIED',
  'REGISTRY_REJECTED',
])

/**
 * Sees to it that a manifest which refers to another is found from that one: the registry lists it, or it is added to the
 * list that clients keep there. Where that list cannot be written, a warning says so, and the manifest stays.
 */
export async function tellReferrer(
  manifest: RawManifest,
  { repository, subject }: { repository: Repository; subject: Digest },
  options: CommitOptions,
): Promise<void> {
  const { onEvent, signal } = options
  const { from, referrers } = await repository.referrers(subject, { signal })
  if (referrers.some(({ digest }) => digest === manifest.digest)) return
  const where = { registry: repository.registry, repository: repository.repository }
  const say = (message: string): void => onEvent({ type: 'log', level: 'info', message })
  if (from === 'api') {
    say(`${where.registry} does not list ${manifest.digest} among what refers to ${subject} yet`)
    return
  }
  const list = formatReference({ ...where, tag: referrersTag(subject) })
  const entry = entryOf(manifest, list)
  try {
    await options.lockTag(list, (locked) =>
      addReferrer({
        repository,
        subject,
        entry,
        guard: () => options.checkOwnership(),
        signal: locked,
      }),
    )
    say(`${where.registry} keeps no lists of what refers to a manifest, so it was added to ${list}`)
  } catch (error) {
    if (!isAppError(error) || !LIST_ALONE.has(error.code)) throw error
    const message = `it refers to ${subject}, and cannot be found from there: ${error.message}`
    onEvent({ type: 'warning', code: 'REFERRERS_NOT_LISTED', message })
  }
}

/** Source: OCI distribution-spec v1.1.1 "Pushing Manifests with Subject". */
function entryOf(manifest: RawManifest, where: string): Descriptor {
  const { artifactType, config, annotations } = parseManifest(manifest, where) as ImageManifest
  const type = artifactType ?? config?.mediaType
  return {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.length,
    annotations,
    ...(type === undefined ? {} : { artifactType: type }),
  }
}

import type { Digest } from '../../content/digest.ts'
import { isTag } from '../../content/reference.ts'
import { forEachConcurrent } from '../../lib/concurrent.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import type { Repository } from '../../oci/registry.ts'

/** A manifest by its digest and, where that is known, its type. */
export interface Named {
  readonly digest: Digest
  readonly mediaType: string | undefined
}

/** What lies under each tag of a repository, in the registry's order. */
export type Survey = ReadonlyMap<string, Named>

const LOOKED_AT_ONCE = 8
/** Each is a request. */
const MAX_TAGS = 10_000

/**
 * Lists all tags, and looks at each. An error in place of that where it can't be known what tags refer to: they may not be listed
 * to everybody, or are too many. Throws what passes by.
 */
export async function surveyTags(repository: Repository, signal: AbortSignal): Promise<Survey | AppError> {
  let listed: readonly string[]
  try {
    listed = await repository.tags({ signal })
  } catch (error) {
    if (isAppError(error) && error.retry === 'permanent') return error
    throw error
  }
  if (listed.length > MAX_TAGS) return tooMany(repository, listed.length)
  const found = new Map<string, Named>()
  await forEachConcurrent(listed.filter(isTag), { limit: LOOKED_AT_ONCE, signal }, async (tag, stop) => {
    const named = await lookAt(repository, tag, stop)
    if (named) found.set(tag, named)
  })
  // As they were listed, not as their answers came.
  return new Map(listed.flatMap((tag) => (found.has(tag) ? [[tag, found.get(tag) as Named] as const] : [])))
}

/** What lies under a tag, or a digest, now. */
export async function lookAt(
  repository: Repository,
  reference: string,
  signal: AbortSignal,
): Promise<Named | undefined> {
  const head = await repository.headManifest(reference, { signal })
  if (!head) return undefined
  if (head.digest !== undefined) return { digest: head.digest, mediaType: head.mediaType }
  const raw = await repository.getManifest(reference, { signal })
  return raw && { digest: raw.digest, mediaType: raw.mediaType }
}

function tooMany({ registry, repository }: Repository, count: number): AppError {
  return new AppError(
    'TAGS_TOO_MANY',
    `${registry}/${repository} has ${count} tags, and at most ${MAX_TAGS} are looked at`,
    {
      hint: 'Delete by tag: tags go then, and their manifests stay for the garbage collection of the registry.',
      upstream: { registry, repository },
    },
  )
}

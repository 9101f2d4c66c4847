import { randomUUID } from 'node:crypto'
import { type Digest, digestOf } from '../../content/digest.ts'
import { parseManifest, type RawManifest, rawManifest } from '../../content/manifest.ts'
import { OCI_MANIFEST } from '../../content/media-types.ts'
import { formatReference } from '../../content/reference.ts'
import { bufferOpener } from '../../content/streams.ts'
import { type AppError, isAppError, toAppError } from '../../lib/errors.ts'
import type { Repository } from '../../oci/registry.ts'
import { goJson } from '../../oci/manifests/go-json.ts'
import type { DeleteDependencies } from './request.ts'
import { lookAt } from './survey.ts'

/** changed: something else lies there by now, and stays. */
export type TagRemoval = 'removed' | 'absent' | { readonly changed: Digest }

/** Takes tags away, and leaves what lay under them. One for each job: what the registry can do is found out once. */
export interface TagRemover {
  /** While `digest` lies there, or what an earlier run put in its place. Throws REGISTRY_DELETE_UNSUPPORTED, TAG_IMMUTABLE, REGISTRY_*. */
  remove(tag: string, digest: Digest): Promise<TagRemoval>
}

/** What a tag holds for a moment, where tags can't be deleted; also so that whoever finds it knows it. */
export const PLACEHOLDER_TYPE = 'application/vnd.layerd.deleted-tag.v1+json'
const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json'
const EMPTY = Buffer.from('{}')
/** Nobody stops between the two requests of which the second takes back what the first one put there. */
const REPLACE_MS = 30_000

export function createTagRemover(repository: Repository, dependencies: DeleteDependencies): TagRemover {
  const guard = () => dependencies.checkOwnership()
  /** Why tags can't be deleted by their names. */
  let refusal: AppError | undefined
  let probed = false

  const removeByName = async (tag: string, signal: AbortSignal): Promise<TagRemoval | undefined> => {
    try {
      return (await repository.deleteManifest(tag, { signal, guard })) === 'deleted' ? 'removed' : 'absent'
    } catch (error) {
      if (!isAppError(error) || error.code !== 'REGISTRY_DELETE_UNSUPPORTED') throw error
      if (error.details?.['untaggedOnly'] === true) throw error
      refusal = error
      const message = `${repository.registry} deletes no tags by their names: an empty manifest is put under each, and deleted`
      dependencies.onEvent({ type: 'log', level: 'info', message })
      return undefined
    }
  }
  const remove = async (tag: string, digest: Digest, signal: AbortSignal): Promise<TagRemoval> => {
    const there = await lookAt(repository, tag, signal)
    if (!there) return 'absent'
    const isOurs = there.digest === digest || (await isPlaceholder(repository, there.digest, signal))
    if (!isOurs) return { changed: there.digest }
    const removed = refusal ? undefined : await removeByName(tag, signal)
    if (removed) return removed
    if (!probed) await probe(repository, { signal, guard, refusal })
    probed = true
    await replace(tag, there.digest, { repository, signal, guard })
    return 'removed'
  }
  return {
    remove(tag, digest) {
      const { registry, repository: name } = repository
      const where = formatReference({ registry, repository: name, tag })
      return dependencies.lockTag(where, (locked) => remove(tag, digest, locked))
    },
  }
}

interface Writing {
  signal: AbortSignal
  guard: () => Promise<void>
}

/** Of a manifest that was never there: who deletes nothing says so, and nothing was written by then. */
async function probe(
  repository: Repository,
  { refusal, ...call }: Writing & { refusal: AppError | undefined },
): Promise<void> {
  try {
    await repository.deleteManifest(digestOf(Buffer.from(randomUUID())), call)
  } catch (error) {
    throw isAppError(error) && error.code === 'REGISTRY_DELETE_UNSUPPORTED' && refusal ? refusal : error
  }
}

/** Only the tag may go: other tags may name the same manifest. Source: regclient's TagDelete. */
async function replace(
  tag: string,
  before: Digest,
  { repository, signal, guard }: Writing & { repository: Repository },
): Promise<void> {
  const original = await repository.getManifest(before, { signal })
  const config = { mediaType: EMPTY_TYPE, digest: digestOf(EMPTY), size: EMPTY.length }
  const isThere = await repository.exists(config, { signal })
  if (!isThere) await repository.push(config, bufferOpener(EMPTY), { signal })
  const placeholder = placeholderOf(tag, config)
  await repository.putManifest(tag, placeholder, { signal, guard })
  const whole = { signal: AbortSignal.timeout(REPLACE_MS) }
  try {
    await repository.deleteManifest(placeholder.digest, whole)
  } catch (error) {
    if (original && toAppError(error).retry === 'permanent') await repository.putManifest(tag, original, whole)
    throw error
  }
}

/** Unlike any other, so that no other tag can have it. */
function placeholderOf(tag: string, config: { mediaType: string; digest: Digest; size: number }): RawManifest {
  return rawManifest(
    OCI_MANIFEST,
    goJson({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType: PLACEHOLDER_TYPE,
      config,
      layers: [config],
      annotations: { 'org.opencontainers.image.ref.name': tag, 'layerd.deletion': randomUUID() },
    }),
  )
}

/** Whether it is what a run that was cut off put there. */
export async function isPlaceholder(repository: Repository, digest: Digest, signal: AbortSignal): Promise<boolean> {
  const raw = await repository.getManifest(digest, { signal })
  if (!raw) return false
  const parsed = parseManifest(raw, digest)
  return parsed.kind === 'manifest' && parsed.artifactType === PLACEHOLDER_TYPE
}

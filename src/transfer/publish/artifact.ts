import type { OpenedArtifact } from '../../artifact/artifact.ts'
import { copyBlobs } from '../../content/copy-graph.ts'
import { blobName, type Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { parseManifest, type RawManifest } from '../../content/manifest.ts'
import { type Destination, formatReference, parseTag, repositoryFor } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import type { Repository } from '../../oci/registry.ts'
import { putTag } from '../commit.ts'
import { createDryRun, failing, lookingOnly, mountablesOf, tellDone, type TransferPlan } from '../dry-run.ts'
import { isMissingBlob } from '../missing-blob.ts'
import { createMounts, type Mounts } from '../mounts.ts'
import { announceBlobs, checkManifestSize, totalBytes } from '../plan.ts'
import { findSubject, tellReferrer } from '../refer.ts'
import { sharedRepository } from '../shared-push.ts'
import { NO_PACKAGE } from '../signatures.ts'
import { checkReplaceable } from './artifact-tag.ts'
import { releasing } from './move.ts'
import type { PublishDependencies, PublishRequest } from './request.ts'

export interface PublishArtifactRequest
  extends Pick<PublishRequest, 'destination' | 'concurrency' | 'name' | 'tag' | 'subject' | 'verificationFor'> {
  artifact: OpenedArtifact
}

export interface ArtifactOutcome {
  /** oci://HOST/NS/NAME:TAG, or @DIGEST of one without a tag. */
  reference: string
  digest: Digest
  /** Its artifactType, else its config's media type. Empty: it says none. */
  artifactType: string
  /** Artifacts have none. */
  architecture: ''
  layers: number
  bytes: number
}

interface PreparedArtifact {
  readonly request: PublishArtifactRequest
  readonly repository: Repository
  readonly tag: string | undefined
  readonly subject: Descriptor | undefined
  readonly manifests: readonly RawManifest[]
  readonly root: RawManifest
  readonly mounts: Mounts
}

/**
 * Publishes what is no package: its blobs, its manifests, then its tag; one that refers to another without a tag lies there by
 * its digest, and is found from that one. Rejects with the first error after everything has stopped; nothing is tagged then.
 * Throws ARTIFACT_INVALID, BODY_INVALID, TAG_*, PACKAGE_CHANGED, POLICY_VIOLATED, MANIFEST_*, REGISTRY_*, JOB_FENCED, JOB_CANCELED.
 */
export async function publishArtifact(
  request: PublishArtifactRequest,
  dependencies: PublishDependencies,
): Promise<ArtifactOutcome> {
  dependencies.onEvent({ type: 'phase', phase: 'planning' })
  const prepared = await prepare(request, dependencies)
  announceBlobs(request.artifact.blobs, dependencies.onEvent)
  await move(prepared, dependencies, false)
  await commit(prepared, dependencies).catch(async (error: unknown) => {
    if (!isMissingBlob(error)) throw error
    const message = `the registry misses blobs that it had, so all of them are looked at again: ${error.message}`
    dependencies.onEvent({ type: 'log', level: 'warn', message })
    await move(prepared, dependencies, true)
    await commit(prepared, dependencies)
  })
  await prepared.mounts.learn(request.artifact.blobs)
  return outcomeOf(prepared)
}

/** What `publishArtifact` would do, without a request that writes. */
export async function planArtifact(
  request: PublishArtifactRequest,
  dependencies: PublishDependencies,
): Promise<ArtifactOutcome & { plan: TransferPlan }> {
  const dryRun = createDryRun()
  const looking = { ...lookingOnly(dependencies), check: dryRun.check }
  looking.onEvent({ type: 'phase', phase: 'planning' })
  const prepared = await prepare(dryRun.tolerating(request), looking)
  const { repository, mounts } = prepared
  const mountable = mountablesOf(mounts, { registry: repository.registry, dependencies: looking })
  const options = { sink: repository, mountable, signal: looking.signal }
  const weighed = await dryRun.weigh(request.artifact.blobs, options)
  tellDone(dependencies.onEvent)
  const fits = !weighed.problems.some(({ code }) => code === 'MANIFEST_TOO_LARGE')
  return { ...outcomeOf(prepared), plan: { ...weighed, fits } }
}

async function prepare(request: PublishArtifactRequest, dependencies: PublishDependencies): Promise<PreparedArtifact> {
  const { artifact, destination } = request
  const { signal, onEvent, places, check = failing } = dependencies
  const place = repositoryFor(destination, nameOf(request))
  const verification = await request.verificationFor?.(place)
  await check(async () => verification?.check(NO_PACKAGE, artifact.where))
  const repository = await openRepository(destination, place, dependencies)
  try {
    const tag = tagOf(request)
    const { subject: named } = request
    const subject = named === undefined ? undefined : await check(() => findSubject(repository, named, signal))
    const manifests = artifact.manifests(subject)
    const root = manifests.at(-1)
    if (!root) throw new AppError('INTERNAL', 'an artifact has no manifest')
    await check(async () => {
      for (const { bytes } of manifests) checkManifestSize(bytes.length, artifact.layers)
    })
    if (tag !== undefined) await check(() => checkReplaceable({ repository, tag, signal }))
    const to = { ...repository, ...(tag === undefined ? { digest: root.digest } : { tag }) }
    onEvent({ type: 'log', level: 'info', message: `publishing ${artifact.where} to ${formatReference(to)}` })
    const mounts = createMounts({ repository, places })
    mounts.lookUp(artifact.blobs.map(({ digest }) => digest))
    return { request, repository, tag, subject, manifests, root, mounts }
  } catch (error) {
    await repository.releasePush()
    throw error
  }
}

async function openRepository(
  { registry }: Destination,
  place: string,
  { claims, signal, ...dependencies }: PublishDependencies,
): Promise<Repository> {
  const opened = await dependencies.repository(registry, place)
  const repository = claims ? sharedRepository(opened, claims) : opened
  await repository.preparePush({ signal })
  return repository
}

/** What is asked for has to be what it calls itself, where it does. */
function nameOf({ artifact, name }: PublishArtifactRequest): string {
  const found = name ?? artifact.name
  if (found === undefined) {
    throw new AppError('BODY_INVALID', `${artifact.where} has no name of its own, and none is given`, {
      hint: 'Name its repository with "options.name"; it lies below the destination.',
      details: { pointer: '/options/name' },
    })
  }
  if (artifact.name === undefined || artifact.name === found) return found
  throw new AppError('ARTIFACT_INVALID', `${artifact.where} calls itself ${artifact.name}, not ${found}`, {
    hint: 'Leave "options.name" out: it lies under its own name.',
    details: { pointer: '/options/name' },
  })
}

function tagOf({ artifact, tag, subject }: PublishArtifactRequest): string | undefined {
  const found = tag ?? artifact.tag
  if (found !== undefined && artifact.tag !== undefined && found !== artifact.tag) {
    throw new AppError(
      'ARTIFACT_INVALID',
      `${artifact.where} has the tag ${artifact.tag} by its version, not ${found}`,
      {
        hint: 'Leave "options.tag" out: helm finds a chart by its own version alone.',
        details: { pointer: '/options/tag' },
      },
    )
  }
  if (found !== undefined) return parseTag(found)
  if (subject !== undefined) return undefined
  throw new AppError('TAG_INVALID', `${artifact.where} has no version, and no tag is given`, {
    hint: 'Choose one with "options.tag"; only what refers to something ("options.subject") needs none.',
    details: { pointer: '/options/tag' },
  })
}

async function move(
  { request, repository, mounts }: PreparedArtifact,
  { signal, onEvent }: PublishDependencies,
  again: boolean,
): Promise<void> {
  const { artifact, concurrency } = request
  onEvent({ type: 'phase', phase: 'transferring' })
  await releasing(repository, () =>
    // The largest first: the end of the job is then many short tails instead of one long one.
    copyBlobs(
      artifact.blobs.toSorted((a, b) => b.size - a.size),
      artifact,
      repository,
      {
        concurrency,
        mountFrom: async (blob) => (again ? [] : await mounts.candidates(blob)),
        signal,
        onEvent,
        verify: (blob) => ({ mismatch: () => changed(blob) }),
      },
    ),
  )
}

/** Its bytes were hashed a moment ago. */
function changed(blob: Descriptor): AppError {
  return new AppError('PACKAGE_CHANGED', `${blobName(blob)} has other bytes than a moment ago`, {
    hint: 'Retry the job when nobody writes to the file any more.',
  })
}

async function commit(
  { repository, tag, subject, manifests, root }: PreparedArtifact,
  dependencies: PublishDependencies,
): Promise<void> {
  const { signal, onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'committing' })
  const call = { signal, guard: () => dependencies.checkOwnership() }
  for (const manifest of manifests) await repository.putManifest(manifest.digest, manifest, call)
  if (subject) await tellReferrer(root, { repository, subject: subject.digest }, dependencies)
  if (tag !== undefined) await putTag(root, { repository, tag }, dependencies)
}

function outcomeOf({ request, repository, tag, root }: PreparedArtifact): ArtifactOutcome {
  const { registry, repository: place } = repository
  const named = { registry, repository: place, ...(tag === undefined ? { digest: root.digest } : { tag }) }
  const reference = formatReference(named)
  const parsed = parseManifest(root, reference)
  return {
    reference,
    digest: root.digest,
    artifactType: parsed.kind === 'index' ? '' : (parsed.artifactType ?? parsed.config?.mediaType ?? ''),
    architecture: '',
    layers: request.artifact.layers,
    bytes: totalBytes(request.artifact.blobs),
  }
}

import { formatReference, parseTag, repositoryFor } from '../../content/reference.ts'
import { inspectTag } from '../../oci/manifests/tag-index.ts'
import type { Repository } from '../../oci/registry.ts'
import { packageTag } from '../../zarf/package-reference.ts'
import type { ManifestRelations, PackageIdentity } from '../../zarf/package.ts'
import { createMounts, type Mounts } from '../mounts.ts'
import { failing } from '../dry-run.ts'
import { announceBlobs, hasConfig, packageBlobs, UNDECLARED } from '../plan.ts'
import { findSubject } from '../refer.ts'
import { sharedRepository } from '../shared-push.ts'
import type { PublishDependencies, PublishRequest } from './request.ts'
import type { KnownPackage, PublishSource } from './source.ts'

/** A publish whose destination has been proved, before any layer moves. */
export interface PreparedPublish {
  readonly source: PublishSource
  readonly request: PublishRequest
  readonly repository: Repository
  /** What the manifest is to say beside what zarf's says; undefined: nothing. */
  readonly relations: ManifestRelations | undefined
  /** Who the package says it is; its name is the repository's. */
  readonly identity: PackageIdentity
  readonly known: KnownPackage
  readonly mounts: Mounts
}

export interface PrepareDependencies extends PublishDependencies {
  /** A repository that this publish has sent everything to already. */
  sure?: Repository
}

/** Everything that can be known to fail without moving a byte fails here; the plan is told where it is known. */
export async function prepare(
  source: PublishSource,
  request: PublishRequest,
  dependencies: PrepareDependencies,
): Promise<PreparedPublish> {
  const { signal, onEvent, places, sure, check = failing } = dependencies
  const known = await source.learn({ scan: !mayBegin(source.guess, request), check, signal, onEvent })
  const sureIdentity = known.contents?.identity ?? known.identity
  const identity = sureIdentity ?? guessed(source.guess, request)
  if (identity.name !== '') onEvent({ type: 'package', identity })
  const openedAs = { identity, sure: sureIdentity !== undefined }
  const { repository, relations } = await openRepository(openedAs, request, dependencies)
  const { manifest = 'image' } = request
  const undeclared = hasConfig(manifest) ? UNDECLARED + 1 : UNDECLARED
  if (known.contents) announceBlobs(packageBlobs(known.contents, manifest), onEvent)
  else onEvent({ type: 'outline', layers: new Set(known.digests).size + (known.identity ? 0 : undeclared) })
  const mounts = createMounts({ repository, places, sure: sure?.repository })
  mounts.lookUp(known.digests)
  return { source, request, repository, relations, identity, known, mounts }
}

async function openRepository(
  { identity, sure }: { identity: PackageIdentity; sure: boolean },
  request: PublishRequest,
  dependencies: PublishDependencies,
): Promise<Pick<PreparedPublish, 'repository' | 'relations'>> {
  const { signal, onEvent, check = failing } = dependencies
  // Name and tag may both be given while no version is known yet: whether there is one is seen at the end (complete.ts).
  const given = !sure && request.name !== undefined && identity.version === undefined ? request.tag : undefined
  const tag = await check(async () => (given === undefined ? packageTag(identity, request.tag) : parseTag(given)))
  const name = repositoryFor(request.destination, identity.name)
  const opened = await dependencies.repository(request.destination.registry, name)
  const repository = dependencies.claims ? sharedRepository(opened, dependencies.claims) : opened
  await repository.preparePush({ signal })
  try {
    if (tag !== undefined) await check(() => inspectTag({ repository, tag, signal }))
    const relations = await check(() => findRelations(repository, request, signal))
    const to = { ...repository, ...(tag === undefined ? {} : { tag }) }
    onEvent({ type: 'log', level: 'info', message: `publishing to ${formatReference(to)}` })
    return { repository, relations }
  } catch (error) {
    await repository.releasePush()
    throw error
  }
}

async function findRelations(
  repository: Repository,
  { artifactType, subject }: PublishRequest,
  signal: AbortSignal,
): Promise<ManifestRelations | undefined> {
  if (artifactType === undefined && subject === undefined) return undefined
  const type = artifactType === undefined ? {} : { artifactType }
  return subject === undefined ? type : { ...type, subject: await findSubject(repository, subject, signal) }
}

/** A file name is good enough to begin with when it gives a repository and a tag; zarf.yaml decides at the end. */
function mayBegin(guess: PackageIdentity | undefined, request: PublishRequest): boolean {
  if (request.scan) return false
  if (request.name !== undefined && request.tag !== undefined) return true
  if (!guess) return false
  try {
    packageTag(guess, request.tag)
    return true
  } catch {
    return false
  }
}

function guessed(guess: PackageIdentity | undefined, { name }: PublishRequest): PackageIdentity {
  const known = guess ?? { name: '', version: undefined, flavor: undefined, architecture: '' }
  return name === undefined ? known : { ...known, name }
}

import type { Descriptor } from '../../content/descriptor.ts'
import { TITLE_ANNOTATION } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { MAX_MANIFEST_BYTES, rawManifest } from '../../content/manifest.ts'
import { formatReference } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { createBreathing } from '../../lib/loop/breathe.ts'
import type { Repository } from '../../oci/registry.ts'
import type { PulledMetadata } from '../../zarf/pulled-package.ts'
import {
  componentImages,
  imageBlob,
  type ImagePlace,
  imagePlace,
  openImages,
  pickComponents,
  selectImages,
} from '../../zarf/select.ts'
import { createManifestTree, type ReadManifest } from '../copy/tree.ts'
import { failing } from '../dry-run.ts'
import { announce, totalBytes } from '../plan.ts'
import { sharedRepository } from '../shared-push.ts'
import { checkPackage, type PackageSignature, tellVerified } from '../signatures.ts'
import { blobsOf, type ImageBlob } from './blobs.ts'
import type { MirrorDependencies, MirrorRequest } from './request.ts'
import type { ImageSource } from './source.ts'

/** One image of the package, and where it goes. */
export interface PlannedImage {
  readonly image: string
  /** What lies under its tags. */
  readonly root: ReadManifest
  /** All manifests that it is made of, those that another one names before it. */
  readonly manifests: readonly ReadManifest[]
  readonly place: ImagePlace
  readonly repository: Repository
}

/** What is mirrored, once it is known; all repositories have been proved. */
export interface PreparedMirror {
  readonly request: MirrorRequest
  readonly metadata: PulledMetadata
  readonly signatures: readonly PackageSignature[]
  readonly images: readonly PlannedImage[]
  /** Blobs of all images, each once, as layers of the package. */
  readonly blobs: readonly Descriptor[]
  /** The repositories that need a blob; it is sent to the first. */
  readonly homes: ReadonlyMap<Digest, readonly Repository[]>
}

/** Everything that can be known to fail without moving a blob fails here; then the plan is told. */
export async function prepare(request: MirrorRequest, dependencies: MirrorDependencies): Promise<PreparedMirror> {
  const { source, verification, destination } = request
  const { onEvent, signal } = dependencies
  const { where, layers } = source
  const { metadata, signatures } = await checkPackage(layers, {
    read: (layer) => source.read(layer),
    verification,
    where,
    signal,
  })
  source.checkArchitecture(metadata.identity.architecture)
  onEvent({ type: 'package', identity: metadata.identity })
  if (verification) tellVerified(signatures, { where, onEvent })
  const names = await chosenImages(request, metadata)
  const to = formatReference({ registry: destination.registry, repository: destination.namespace })
  onEvent({
    type: 'log',
    level: 'info',
    message: `mirroring ${names.length} images of ${where} (${source.digest}) to ${to}`,
  })
  const repositories = createRepositories(request, dependencies)
  try {
    const images = await planImages(names, { request, repositories, signal })
    const { blobs, homes } = await placeBlobs(images, source)
    for (const { layer, title } of blobs) announce({ ...layer, annotations: { [TITLE_ANNOTATION]: title } }, onEvent)
    const all = blobs.map(({ layer }) => layer)
    onEvent({ type: 'plan', layers: all.length, bytes: totalBytes(all) })
    return { request, metadata, signatures, images, blobs: all, homes }
  } catch (error) {
    await repositories.release()
    throw error
  }
}

async function chosenImages(
  { components, images }: MirrorRequest,
  { definition }: PulledMetadata,
): Promise<readonly string[]> {
  const theirs = components ? await pickComponents(definition, components) : (definition.components ?? [])
  const all = componentImages(theirs)
  return images ? await selectImages(all, images) : all
}

interface Repositories {
  /** Each is opened, and proved, once. */
  at(repository: string): Promise<Repository>
  /** Gives up the upload sessions that proved them. */
  release(): Promise<void>
}

function createRepositories(
  { destination: { registry } }: MirrorRequest,
  dependencies: MirrorDependencies,
): Repositories {
  const { claims, check = failing, signal } = dependencies
  const opened = new Map<string, Repository>()
  return {
    async at(name) {
      const known = opened.get(name)
      if (known) return known
      const found = await dependencies.repository(registry, name)
      const repository = claims ? sharedRepository(found, claims) : found
      opened.set(name, repository)
      await check(() => repository.preparePush({ signal }))
      return repository
    },
    async release() {
      for (const repository of opened.values()) await repository.releasePush()
    },
  }
}

interface Planning {
  request: MirrorRequest
  repositories: Repositories
  signal: AbortSignal
}

async function planImages(
  names: readonly string[],
  { request, repositories, signal }: Planning,
): Promise<readonly PlannedImage[]> {
  if (names.length === 0) return []
  const { source, destination, checksum } = request
  const manifests = manifestsOf(source)
  const held = await openImages({ byTitle: source.layers.byTitle, read: (layer) => source.read(layer) })
  const planned: PlannedImage[] = []
  const breathe = createBreathing()
  for (const image of names) {
    await breathe()
    signal.throwIfAborted()
    const tree = createManifestTree({ source: manifests, where: image, signal })
    const root = await tree.add(held.entryOf(image))
    const place = imagePlace(image, destination, { checksum })
    if (place.digest !== undefined && place.digest !== root.raw.digest) throw otherDigest(image, root, source)
    planned.push({ image, root, manifests: tree.all, place, repository: await repositories.at(place.repository) })
  }
  return planned
}

/** zarf may hold one architecture of an image that is named by its index's digest; what has another digest can't go by that. */
function otherDigest(image: string, { raw }: ReadManifest, { where }: ImageSource): AppError {
  return new AppError('PACKAGE_INVALID', `${where} holds ${raw.digest} for the image ${image}`, {
    side: 'source',
    details: { image, digest: raw.digest },
    hint: 'It would have to lie under the digest that the package names. Name the image by a tag, or by the digest of what is to be in the package, and create the package again.',
  })
}

/** Manifests of images, as a registry gives them. */
function manifestsOf(source: ImageSource): Pick<Repository, 'getManifest'> {
  return {
    async getManifest(name) {
      const layer = source.layers.byTitle.get(imageBlob({ digest: name as Digest }))
      if (!layer || layer.size > MAX_MANIFEST_BYTES) return undefined
      return rawManifest('', await source.read(layer))
    },
  }
}

/** Throws PACKAGE_INVALID naming a blob that the package lacks. */
async function placeBlobs(
  images: readonly PlannedImage[],
  { layers }: ImageSource,
): Promise<{ blobs: readonly ImageBlob[]; homes: ReadonlyMap<Digest, readonly Repository[]> }> {
  const blobs = new Map<Digest, ImageBlob>()
  const homes = new Map<Digest, Repository[]>()
  const breathe = createBreathing()
  for (const { image, manifests, repository } of images) {
    for (const blob of blobsOf(manifests, { image, byTitle: layers.byTitle })) {
      await breathe()
      const { digest } = blob.layer
      if (!blobs.has(digest)) blobs.set(digest, blob)
      const known = homes.get(digest) ?? []
      if (!known.includes(repository)) homes.set(digest, [...known, repository])
    }
  }
  return { blobs: [...blobs.values()], homes }
}

import { copyBlob } from '../../content/copy-graph.ts'
import type { RawManifest } from '../../content/manifest.ts'
import { OCI_ARTIFACT_MANIFEST } from '../../content/media-types.ts'
import { formatReference } from '../../content/reference.ts'
import { bufferOpener } from '../../content/streams.ts'
import { packageTag } from '../../zarf/package-reference.ts'
import { commit } from '../commit.ts'
import { isMissingBlob } from '../missing-blob.ts'
import { hasConfig, packageBlobs, totalBytes } from '../plan.ts'
import { move, type MovedPublish, releasing } from './move.ts'
import type { PublishDependencies, PublishOutcome } from './request.ts'

/**
 * Makes the package visible: config, manifest, tag. Heals once: a registry that lost blobs after it claimed to have them
 * names them now, and all of them are looked at again.
 */
export async function complete(publish: MovedPublish, dependencies: PublishDependencies): Promise<PublishOutcome> {
  const { contents, mounts, request } = publish
  const committed = await sendAndCommit(publish, dependencies).catch(async (error: unknown) => {
    if (!isMissingBlob(error)) throw error
    const message = `the registry misses blobs that it had, so all of them are looked at again: ${error.message}`
    dependencies.onEvent({ type: 'log', level: 'warn', message })
    return await sendAndCommit(await move(publish, dependencies, true), dependencies)
  })
  const blobs = packageBlobs(contents, request.manifest ?? 'image')
  await mounts.learn(blobs)
  return {
    reference: formatReference(committed.reference),
    digest: committed.manifest.digest,
    indexDigest: committed.indexDigest,
    architecture: contents.identity.architecture,
    layers: contents.layers.length,
    bytes: totalBytes(blobs),
    ...(request.manifest === undefined ? {} : { manifest: kindOf(committed.manifest) }),
  }
}

async function sendAndCommit(
  { contents, repository, relations, request }: MovedPublish,
  dependencies: PublishDependencies,
): Promise<Awaited<ReturnType<typeof commit>>> {
  const { signal, onEvent } = dependencies
  const tag = packageTag(contents.identity, request.tag)
  const { manifest: kind = 'image' } = request
  await releasing(repository, async () => {
    const { descriptor, bytes } = contents.config
    if (hasConfig(kind)) await copyBlob(descriptor, bufferOpener(bytes), repository, { signal, onEvent })
  })
  return await commit(contents, { repository, tag, kind, ...(relations ? { relations } : {}) }, dependencies)
}

function kindOf({ mediaType }: RawManifest): 'image' | 'artifact' {
  return mediaType === OCI_ARTIFACT_MANIFEST ? 'artifact' : 'image'
}

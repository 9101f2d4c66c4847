import { copyBlobs } from '../../content/copy-graph.ts'
import { type Descriptor, descriptorTitle } from '../../content/descriptor.ts'
import type { VerifyOptions } from '../../content/endpoints.ts'
import { AppError } from '../../lib/errors.ts'
import type { Repository } from '../../oci/registry.ts'
import type { PreparedPull } from './prepare.ts'
import type { PullDependencies } from './request.ts'

/** Brings what the store lacks of the layers, each verified, and asks last whether this run may still go on. */
export async function move(pull: PreparedPull, dependencies: PullDependencies): Promise<void> {
  const { repository, source, request } = pull
  const { store, signal, onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'transferring' })
  // The largest first: the end of the job is then many short tails instead of one long one.
  const blobs = pull.blobs.toSorted((a, b) => b.size - a.size)
  await copyBlobs(blobs, source, store.from(repository), {
    concurrency: request.concurrency,
    signal,
    onEvent,
    verify: (blob) => wrongBytes(blob, repository),
  })
  onEvent({ type: 'phase', phase: 'committing' })
  await dependencies.checkOwnership()
}

function wrongBytes(blob: Descriptor, { registry, repository }: Repository): VerifyOptions {
  const name = descriptorTitle(blob) ?? 'the config'
  return {
    name,
    mismatch: (found) =>
      new AppError('DIGEST_MISMATCH', `${registry} served other bytes for ${name}: they have the digest ${found}`, {
        side: 'source',
        upstream: { registry, repository, digest: blob.digest },
        details: { title: name, expected: blob.digest, found },
        hint: "The registry's storage is damaged, or something in between changes answers: publish the package again.",
      }),
  }
}

import type { Descriptor } from '../../content/descriptor.ts'
import type { OpenedTarget } from '../../content/opened.ts'
import { formatReference } from '../../content/reference.ts'
import { bufferOpener } from '../../content/streams.ts'
import { named } from '../resolve.ts'
import { totalBytes } from '../plan.ts'
import { unlessDamaged } from './move.ts'
import type { PreparedPull } from './prepare.ts'
import type { PullDependencies, PullOutcome } from './request.ts'

/** Records the package in the store, or writes its archive to the target. */
export async function complete(pull: PreparedPull, dependencies: PullDependencies): Promise<PullOutcome> {
  const { target } = pull.request
  if (!target) await record(pull, dependencies)
  return outcome(pull, target ? await writeArchive(pull, target, dependencies) : undefined)
}

async function writeArchive(pull: PreparedPull, target: OpenedTarget, dependencies: PullDependencies): Promise<string> {
  const { archive, request } = pull
  const file = { name: archive.fileName, overwrite: request.overwrite }
  return await unlessDamaged(pull, dependencies, () =>
    target.write(file, (options) => archive.open(options), dependencies.signal),
  )
}

async function record(plan: PreparedPull, { store, signal }: PullDependencies): Promise<void> {
  const { reference, holder, owner } = plan.request
  const manifest = manifestOf(plan)
  await store.push(manifest, bufferOpener(plan.resolved.raw.bytes), { signal })
  await store.packages.put({
    ...plan.record,
    ...plan.identity,
    digest: manifest.digest,
    manifestMediaType: manifest.mediaType,
    manifestSize: manifest.size,
    references: [formatReference(named(reference))],
    ...(holder === undefined ? {} : { holder }),
    ...(owner === undefined ? {} : { owner }),
  })
}

export function manifestOf({ resolved }: PreparedPull): Descriptor {
  const { raw, manifest } = resolved
  return { mediaType: manifest.mediaType, digest: raw.digest, size: raw.bytes.length }
}

export function outcome(plan: PreparedPull, path: string | undefined): PullOutcome {
  return {
    reference: formatReference(named(plan.request.reference)),
    digest: plan.resolved.raw.digest,
    ...plan.identity,
    path,
    ...plan.told,
    bytes: totalBytes(plan.blobs),
    ...(plan.request.verification ? { signatures: [...plan.signatures] } : {}),
  }
}

import { distinct } from '../../content/copy-graph.ts'
import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { OpenedTarget } from '../../content/opened.ts'
import { formatReference } from '../../content/reference.ts'
import { bufferOpener } from '../../content/streams.ts'
import { toAppError } from '../../lib/errors.ts'
import { withConfig } from '../../zarf/pulled-package.ts'
import { named } from '../resolve.ts'
import { totalBytes } from '../plan.ts'
import { move } from './move.ts'
import type { PreparedPull } from './prepare.ts'
import type { PullDependencies, PullOutcome } from './request.ts'

/** Records the package in the store, or writes its archive to the target. */
export async function complete(pull: PreparedPull, dependencies: PullDependencies): Promise<PullOutcome> {
  const { target } = pull.request
  if (!target) await record(pull, dependencies)
  return outcome(pull, target ? await writeArchive(pull, target, dependencies) : undefined)
}

/**
 * Blobs that were in the store and turn out damaged when the archive is written have been taken away: they are brought
 * anew, each once.
 */
async function writeArchive(pull: PreparedPull, target: OpenedTarget, dependencies: PullDependencies): Promise<string> {
  const { archive, request } = pull
  const { onEvent, signal } = dependencies
  const file = { name: archive.fileName, overwrite: request.overwrite }
  const damaged = new Set<unknown>()
  for (;;) {
    try {
      return await target.write(file, (options) => archive.open(options), signal)
    } catch (thrown) {
      const error = toAppError(thrown)
      const name = error.details?.['name']
      if (error.code !== 'STORE_CORRUPT' || name === undefined || damaged.has(name)) throw error
      damaged.add(name)
      onEvent({ type: 'log', level: 'warn', message: `${error.message}; it is pulled anew` })
      await move(pull, dependencies)
    }
  }
}

async function record(plan: PreparedPull, { store, signal }: PullDependencies): Promise<void> {
  const { reference, holder } = plan.request
  const { identity, signed } = plan.metadata
  const manifest = manifestOf(plan)
  await store.push(manifest, bufferOpener(plan.resolved.raw.bytes), { signal })
  await store.packages.put({
    digest: manifest.digest,
    manifestMediaType: manifest.mediaType,
    manifestSize: manifest.size,
    name: identity.name,
    version: identity.version ?? null,
    flavor: identity.flavor ?? null,
    architecture: identity.architecture,
    references: [formatReference(named(reference))],
    size: totalBytes(withConfig(plan.layers, plan.layers.layers)),
    layers: plan.layers.layers.length,
    signed,
    components: [...plan.components],
    images: [...plan.images],
    leftOut: leftOut(plan),
    ...(holder === undefined ? {} : { holder }),
  })
}

/** What the manifest names beside the selection. */
function leftOut({ layers, blobs }: PreparedPull): Digest[] {
  const brought = new Set(blobs.map(({ digest }) => digest))
  return distinct(layers.layers).flatMap(({ digest }) => (brought.has(digest) ? [] : [digest]))
}

export function manifestOf({ resolved }: PreparedPull): Descriptor {
  const { raw, manifest } = resolved
  return { mediaType: manifest.mediaType, digest: raw.digest, size: raw.bytes.length }
}

export function outcome(plan: PreparedPull, path: string | undefined): PullOutcome {
  const { identity } = plan.metadata
  return {
    reference: formatReference(named(plan.request.reference)),
    digest: plan.resolved.raw.digest,
    architecture: identity.architecture,
    name: identity.name,
    version: identity.version ?? null,
    flavor: identity.flavor ?? null,
    path,
    layers: plan.files.size,
    bytes: totalBytes(plan.blobs),
    ...(plan.request.verification ? { signatures: [...plan.signatures] } : {}),
  }
}

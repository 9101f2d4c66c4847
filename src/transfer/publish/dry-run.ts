import { formatReference } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { packageTag } from '../../zarf/package-reference.ts'
import { manifestsOf } from '../commit.ts'
import { createDryRun, lookingOnly, mountablesOf, tellDone } from '../dry-run.ts'
import { packageBlobs, totalBytes } from '../plan.ts'
import { checkedSource } from './checked-source.ts'
import { prepare } from './prepare.ts'
import type { PlannedPublish, PublishDependencies, PublishRequest } from './request.ts'

/**
 * What `publish` would do, without a request that writes; a compressed archive is read once for it. What would fail the
 * publish for good is in the plan's problems, but where nothing can be planned: throws PACKAGE_*, REFERENCE_INVALID, and what
 * passes by.
 */
export async function planPublish(request: PublishRequest, dependencies: PublishDependencies): Promise<PlannedPublish> {
  const dryRun = createDryRun()
  const { check } = dryRun
  const looking = { ...lookingOnly(dependencies), check }
  const { signal } = looking
  looking.onEvent({ type: 'phase', phase: 'planning' })
  // No signature is made.
  const { sign: _, ...unsigned } = request
  const tolerated = { ...dryRun.tolerating(unsigned), scan: true }
  const { source, signatures, told } = await checkedSource(tolerated, looking)
  const { repository, relations, mounts, known } = await prepare(source, tolerated, looking)
  const { contents } = known
  if (!contents) throw new AppError('INTERNAL', 'a package that was scanned is not known')
  const { manifest: kind = 'image', tag: given } = request
  const made = await check(() => manifestsOf(contents, { kind, ...(relations ? { relations } : {}) }))
  const tag = await check(async () => packageTag(contents.identity, given))
  const blobs = packageBlobs(contents, kind)
  const { registry } = repository
  const mountable = mountablesOf(mounts, { registry, dependencies: looking })
  const weighed = await dryRun.weigh(blobs, { sink: repository, mountable, signal })
  tellDone(dependencies.onEvent)
  const manifest = kind === 'artifact' ? made?.artifact : made?.image
  return {
    reference: formatReference({ registry, repository: repository.repository, ...(tag === undefined ? {} : { tag }) }),
    digest: (manifest ?? contents.manifest).digest,
    architecture: contents.identity.architecture,
    layers: contents.layers.length,
    bytes: totalBytes(blobs),
    ...told,
    ...(signatures ? { signatures: [...signatures] } : {}),
    plan: { ...weighed, fits: !weighed.problems.some(({ code }) => code === 'MANIFEST_TOO_LARGE') },
  }
}

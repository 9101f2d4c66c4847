import { parseManifest } from '../../content/manifest.ts'
import { formatReference } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import type { Repository } from '../../oci/registry.ts'
import { packageEntries } from '../resolve.ts'

/**
 * An artifact takes its tag over whole, as oras and helm do; but not one that Zarf packages or UDS bundles lie under, which
 * would be lost with all of their architectures. Throws TAG_HOLDS_PACKAGES.
 */
export async function checkReplaceable({
  repository,
  tag,
  signal,
}: {
  repository: Repository
  tag: string
  signal: AbortSignal
}): Promise<void> {
  const raw = await repository.getManifest(tag, { signal })
  if (!raw) return
  const place = { registry: repository.registry, repository: repository.repository }
  const where = formatReference({ ...place, tag })
  const parsed = parseManifest(raw, where)
  if (parsed.kind !== 'index' || packageEntries(parsed).length === 0) return
  throw new AppError('TAG_HOLDS_PACKAGES', `${where} holds Zarf packages or UDS bundles, which would be lost`, {
    hint: 'Choose another tag ("options.tag"), name or namespace.',
    upstream: { ...place, reference: tag, digest: raw.digest },
  })
}

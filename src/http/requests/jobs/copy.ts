import { requirePlace } from '../../../access/limits.ts'
import {
  checkNotItself,
  copiedRepository,
  formatReference,
  formatRegistryPlace,
  parseDestination,
  parseReference,
  parseTag,
  type Reference,
} from '../../../content/reference.ts'
import { AppError } from '../../../lib/errors.ts'
import { tagPattern } from '../../../transfer/copy/tags.ts'
import type { JobBody } from '../../schemas/job.ts'
import { at, later, parsePackageReference } from '../package-reference.ts'
import { type Checked, type CheckOptions, type KindOfJob, noDestination } from './kind.ts'

/** What a registry holds to another one, or to another repository of the same. */
export const copy = {
  options: ['tag', 'tags', 'architectures', 'dryRun', 'verify', 'sign', 'concurrency', 'plainHttp', 'trace'],
  needsDestination: true,
  check: checkCopy,
  registries: ({ source, destination }) => [
    parseDestination(destination ?? '').registry,
    parseReference(source).registry,
  ],
} as const satisfies KindOfJob

async function checkCopy(body: JobBody, { mayName, caller }: CheckOptions): Promise<Checked> {
  const reference = copySource(body)
  at('/source', () => requirePlace(caller, reference), undefined)
  await later('/source', mayName, reference.registry)
  if (body.destination === undefined) throw noDestination('a copy')
  const { registry, namespace } = at('/destination', parseDestination, body.destination)
  await later('/destination', mayName, registry)
  const tag = body.options?.tag
  if (tag !== undefined) at('/options/tag', parseTag, tag)
  const repository = at('/destination', () => copiedRepository({ registry, namespace }, reference), undefined)
  at('/destination', () => requirePlace(caller, { registry, repository }), undefined)
  // Signed again it becomes another one where it lies.
  if (!body.options?.sign) checkNotItself(reference, { registry, namespace }, tag)
  const destination = `oci://${formatRegistryPlace({ registry, path: namespace })}`
  const registries = [...new Set([registry, reference.registry])]
  return { source: formatReference(reference), destination, queueHost: registry, registries }
}

/** One thing by tag or digest; or a repository, and patterns of its tags. */
function copySource({ source, options = {} }: JobBody): Reference {
  const { tags, tag } = options
  if (tags === undefined) return parsePackageReference(source, '/source')
  tags.forEach((pattern, place) => at(`/options/tags/${place}`, tagPattern, pattern))
  const reference = at('/source', parseReference, source)
  const pointer = tag !== undefined ? '/options/tag' : '/source'
  if (tag === undefined && reference.tag === undefined && reference.digest === undefined) return reference
  throw new AppError('BODY_INVALID', 'with "options.tags" the source is a repository, and its tags keep their names', {
    hint: 'Leave the tag out: "source": "oci://registry.example/team/nemo".',
    details: { pointer },
  })
}

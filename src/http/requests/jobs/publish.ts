import { requireBelow, requirePlace } from '../../../access/limits.ts'
import { isDigest } from '../../../content/digest.ts'
import { formatRegistryPlace, parseDestination, parseTag } from '../../../content/reference.ts'
import { AppError } from '../../../lib/errors.ts'
import type { JobBody } from '../../schemas/job.ts'
import { at, later } from '../package-reference.ts'
import { artifactRepository, checkFiles, isFiles } from './files.ts'
import { type Checked, type CheckOptions, type KindOfJob, noDestination } from './kind.ts'
import { checkPublishSource } from './sources.ts'

/** A package, or files as an artifact, from a file, an upload, the store or a web server to a registry. */
export const publish = {
  options: [
    'tag',
    'name',
    'sha256',
    'scan',
    'manifest',
    'artifactType',
    'subject',
    'files',
    'config',
    'annotations',
    'dryRun',
    'verify',
    'sign',
    'concurrency',
    'plainHttp',
    'trace',
  ],
  needsDestination: true,
  check: checkPublish,
  registries: ({ destination }) => [parseDestination(destination ?? '').registry],
} as const satisfies KindOfJob

async function checkPublish(body: JobBody, options: CheckOptions): Promise<Checked> {
  const { mayName, caller } = options
  if (body.destination === undefined) {
    throw noDestination('a publish')
  }
  const to = at('/destination', parseDestination, body.destination)
  const { registry, namespace } = to
  const files = isFiles(body.source)
  if (files) {
    const repository = artifactRepository(body, to)
    at('/destination', () => requirePlace(caller, { registry, repository }), undefined)
  } else at('/destination', () => requireBelow(caller, { registry, namespace }), undefined)
  await later('/destination', mayName, registry)
  const { tag, subject } = body.options ?? {}
  if (tag !== undefined) at('/options/tag', parseTag, tag)
  if (subject !== undefined) checkSubject(subject)
  await (files ? checkFiles(body, options) : checkPublishSource(body, options))
  const destination = `oci://${formatRegistryPlace({ registry, path: namespace })}`
  return { source: body.source, destination, queueHost: registry, registries: [registry] }
}

function checkSubject(subject: string): void {
  if (isDigest(subject)) return
  try {
    parseTag(subject)
  } catch {
    throw new AppError('BODY_INVALID', `"${subject.slice(0, 160)}" is neither a tag nor a digest`, {
      hint: 'The subject is what the package refers to, in the repository that it is published to.',
      details: { pointer: '/options/subject' },
    })
  }
}

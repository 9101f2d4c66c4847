import { requirePlace } from '../../../access/limits.ts'
import { formatReference, parseReference } from '../../../content/reference.ts'
import { AppError } from '../../../lib/errors.ts'
import type { JobBody } from '../../schemas/job.ts'
import { at, later, parsePackageReference } from '../package-reference.ts'
import { type Checked, type CheckOptions, goesNowhere, type KindOfJob } from './kind.ts'

/** A tag of a registry, architectures of the index under one, or a manifest; `delete` is a word of the language. */
export const deletion = {
  options: ['architectures', 'dryRun', 'plainHttp', 'trace'],
  needsDestination: false,
  check: checkDelete,
  registries: ({ source }) => [parseReference(source).registry],
} as const satisfies KindOfJob

/** What is deleted is named to the tag: a repository alone, or both a tag and a digest, may mean anything. */
async function checkDelete(body: JobBody, { mayName, caller }: CheckOptions): Promise<Checked> {
  if (body.destination !== undefined) throw goesNowhere('delete')
  const reference = parsePackageReference(body.source, '/source')
  const { registry, tag, digest } = reference
  if (tag !== undefined && digest !== undefined) throw oneOf()
  if (digest !== undefined && body.options?.architectures !== undefined) throw noIndex()
  at('/source', () => requirePlace(caller, reference), undefined)
  await later('/source', mayName, registry)
  return { source: formatReference(reference), destination: null, queueHost: registry, registries: [registry] }
}

function oneOf(): AppError {
  return new AppError('BODY_INVALID', 'a delete names a tag or a digest, not both', {
    hint: 'With the tag it goes, and the manifest with the last tag of it; by its digest goes what no tag leads to.',
    details: { pointer: '/source' },
  })
}

function noIndex(): AppError {
  return new AppError('BODY_INVALID', 'architectures go out of the index under a tag, and the source names a digest', {
    hint: 'Name the tag, or leave "options.architectures" out.',
    details: { pointer: '/options/architectures' },
  })
}

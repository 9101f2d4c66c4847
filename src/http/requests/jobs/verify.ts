import { requirePlace } from '../../../access/limits.ts'
import { formatReference, parseReference, storedDigest } from '../../../content/reference.ts'
import { LOCAL_QUEUE } from '../../../jobs/model/requests.ts'
import { AppError } from '../../../lib/errors.ts'
import type { JobBody } from '../../schemas/job.ts'
import { at, later, parsePackageReference } from '../package-reference.ts'
import { type Checked, type CheckOptions, isLocal, type KindOfJob } from './kind.ts'
import { checkLocalPackage, checkStored } from './sources.ts'

/** Checksums and signature of a package, wherever it lies. */
export const verify = {
  options: ['verify', 'architecture', 'plainHttp', 'trace'],
  needsDestination: false,
  check: checkVerify,
  registries: ({ source }) => (isLocal(source) ? [] : [parseReference(source).registry]),
} as const satisfies KindOfJob

async function checkVerify(body: JobBody, { sources, store, mayName, caller }: CheckOptions): Promise<Checked> {
  const { source } = body
  if (body.destination !== undefined) throw goesNowhere()
  if (isLocal(source)) {
    const stored = at('/source', storedDigest, source)
    if (stored === undefined) await checkLocalPackage(source, sources)
    else await later('/source', (digest) => checkStored(digest, store), stored)
    return { source, destination: null, queueHost: LOCAL_QUEUE, registries: [] }
  }
  const reference = parsePackageReference(source, '/source')
  const { registry } = reference
  at('/source', () => requirePlace(caller, reference), undefined)
  await later('/source', mayName, registry)
  return { source: formatReference(reference), destination: null, queueHost: registry, registries: [registry] }
}

function goesNowhere(): AppError {
  return new AppError('BODY_INVALID', 'a verify job goes nowhere, so it has no "destination"', {
    details: { pointer: '/destination' },
  })
}

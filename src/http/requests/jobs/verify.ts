import { parseReference } from '../../../content/reference.ts'
import { LOCAL_QUEUE } from '../../../jobs/model/requests.ts'
import { AppError } from '../../../lib/errors.ts'
import type { JobBody } from '../../schemas/job.ts'
import type { Checked, CheckOptions, KindOfJob } from './kind.ts'
import { checkPackageSource, isLocal } from './sources.ts'

/** Checksums and signature of a package, wherever it lies. */
export const verify = {
  options: ['verify', 'architecture', 'plainHttp', 'trace'],
  needsDestination: false,
  check: checkVerify,
  registries: ({ source }) => (isLocal(source) ? [] : [parseReference(source).registry]),
} as const satisfies KindOfJob

async function checkVerify(body: JobBody, options: CheckOptions): Promise<Checked> {
  if (body.destination !== undefined) throw goesNowhere()
  const { source, registry } = await checkPackageSource(body, options)
  const registries = registry === undefined ? [] : [registry]
  return { source, destination: null, queueHost: registry ?? LOCAL_QUEUE, registries }
}

function goesNowhere(): AppError {
  return new AppError('BODY_INVALID', 'a verify job goes nowhere, so it has no "destination"', {
    details: { pointer: '/destination' },
  })
}

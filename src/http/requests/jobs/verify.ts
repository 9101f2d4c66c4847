import { parseReference } from '../../../content/reference.ts'
import { LOCAL_QUEUE } from '../../../jobs/model/requests.ts'
import type { JobBody } from '../../schemas/job.ts'
import { type Checked, type CheckOptions, goesNowhere, type KindOfJob } from './kind.ts'
import { checkPackageSource, isLocal } from './sources.ts'

/** Checksums and signature of a package, wherever it lies. */
export const verify = {
  options: ['verify', 'architecture', 'plainHttp', 'trace'],
  needsDestination: false,
  check: checkUsed,
  registries: registriesUsed,
} as const satisfies KindOfJob

/** A package from wherever, which goes to no registry. */
export async function checkUsed(body: JobBody, options: CheckOptions): Promise<Checked> {
  if (body.destination !== undefined) throw goesNowhere(body.kind)
  const { source, registry } = await checkPackageSource(body, options)
  const registries = registry === undefined ? [] : [registry]
  return { source, destination: null, queueHost: registry ?? LOCAL_QUEUE, registries }
}

export function registriesUsed({ source }: Pick<JobBody, 'source'>): string[] {
  return isLocal(source) ? [] : [parseReference(source).registry]
}

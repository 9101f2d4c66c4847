import { requireBelow } from '../../../access/limits.ts'
import { formatRegistryPlace, parseDestination } from '../../../content/reference.ts'
import type { JobBody } from '../../schemas/job.ts'
import { at, later } from '../package-reference.ts'
import { type Checked, type CheckOptions, type KindOfJob, noDestination } from './kind.ts'
import { checkPackageSource } from './sources.ts'
import { registriesUsed } from './verify.ts'

/** The container images of a package, wherever it lies, into a registry. */
export const mirror = {
  options: [
    'architecture',
    'components',
    'images',
    'imageChecksum',
    'dryRun',
    'verify',
    'concurrency',
    'plainHttp',
    'trace',
  ],
  needsDestination: true,
  check: checkMirror,
  registries: (job) => [parseDestination(job.destination ?? '').registry, ...registriesUsed(job)],
} as const satisfies KindOfJob

async function checkMirror(body: JobBody, options: CheckOptions): Promise<Checked> {
  const { mayName, caller } = options
  if (body.destination === undefined) throw noDestination('a mirror')
  const { registry, namespace } = at('/destination', parseDestination, body.destination)
  at('/destination', () => requireBelow(caller, { registry, namespace }), undefined)
  await later('/destination', mayName, registry)
  const destination = `oci://${formatRegistryPlace({ registry, path: namespace })}`
  const { source, registry: from = registry } = await checkPackageSource(body, options)
  return { source, destination, queueHost: registry, registries: [...new Set([registry, from])] }
}

import { LOCAL_QUEUE } from '../../../jobs/model/requests.ts'
import { AppError } from '../../../lib/errors.ts'
import type { JobBody } from '../../schemas/job.ts'
import type { Checked, CheckOptions, KindOfJob } from './kind.ts'
import { checkPublishSource } from './sources.ts'

/** An update's archive, put together with a stored package. */
export const apply = {
  options: ['sha256', 'verify', 'trace'],
  needsDestination: false,
  check: checkApply,
  registries: () => [],
} as const satisfies KindOfJob

async function checkApply(body: JobBody, options: CheckOptions): Promise<Checked> {
  const { source, destination = null } = body
  if (destination !== null && destination !== 'store:') throw intoStoreAlone(destination)
  if (/^(?:store|oci):/.test(source)) throw noUpdateSource(source)
  await checkPublishSource(body, options)
  return { source, destination, queueHost: LOCAL_QUEUE, registries: [] }
}

function intoStoreAlone(destination: string): AppError {
  return new AppError('BODY_INVALID', `an update is not applied to "${destination.slice(0, 300)}"`, {
    hint: 'Leave "destination" out: the package comes into the content store, from where it is published or downloaded.',
    details: { pointer: '/destination' },
  })
}

function noUpdateSource(source: string): AppError {
  return new AppError('BODY_INVALID', `"${source.slice(0, 160)}" is not where an update lies`, {
    hint: 'An update is a file: upload:{id}, file:/absolute/path, or https://host/path with options.sha256.',
    details: { pointer: '/source' },
  })
}

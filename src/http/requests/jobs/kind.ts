import type { Principal } from '../../../access/principal.ts'
import type { Job } from '../../../jobs/model/definitions.ts'
import type { JobOptions } from '../../../jobs/model/job-options.ts'
import type { NewJob } from '../../../jobs/model/requests.ts'
import { AppError } from '../../../lib/errors.ts'
import type { JobBody } from '../../schemas/job.ts'
import type { KeyNames } from '../key-settings.ts'
import type { PublishSources } from './sources.ts'

/** What of a job's request is known to be good. */
export type Checked = Pick<NewJob, 'source' | 'destination' | 'queueHost' | 'registries'>

export interface CheckOptions extends PublishSources {
  keys: KeyNames
  /** Who asks: what it may not, no job may for it. */
  caller: Principal
}

/** How the API takes jobs of one kind. */
export interface KindOfJob {
  /** Those of its options that it takes. */
  readonly options: ReadonlyArray<keyof JobOptions>
  /** Whether a request has to name a destination. */
  readonly needsDestination: boolean
  /** Checks what needs neither archive nor registry. Throws naming the field by JSON pointer. */
  check(body: JobBody, options: CheckOptions): Promise<Checked>
  /** Of a job that was accepted, the registries whose credentials it may be given, its queue's first. */
  registries(job: Pick<Job, 'source' | 'destination'>): string[]
}

export function noDestination(what: string): AppError {
  return new AppError('BODY_INVALID', `the field "destination" is missing: ${what} goes to a registry`, {
    hint: 'For example "destination": "oci://registry.example/team".',
    details: { pointer: '/destination' },
  })
}

export function goesNowhere(kind: string): AppError {
  return new AppError('BODY_INVALID', `a ${kind} job goes to no registry, so it has no "destination"`, {
    details: { pointer: '/destination' },
  })
}

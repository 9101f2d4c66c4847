import { allowsAllBelow, type Limits, namesPlaces, type Place } from '../../access/limits.ts'
import type { Owned } from '../../access/sight.ts'
import { copiedRepository, parseDestination, parseReference } from '../../content/reference.ts'
import type { Job } from './definitions.ts'
import { LOCAL_QUEUE } from './requests.ts'

/** As much of a job as tells whose it is, and what it is about. */
export type JobAffair = Pick<Job, 'kind' | 'source' | 'destination' | 'principal'> & {
  readonly result: Pick<NonNullable<Job['result']>, 'reference'> | null
}

const REMOTE = 'oci://'
/** A component that is not known yet. */
export const UNKNOWN_NAME = '*'

/**
 * The repositories that a job is about: where it reads, and where it writes. A package's own name is known once it was
 * published; until then it is `*`, whatever the job guesses. None where no registry has a part in it, and where they cannot be told.
 */
export function placesOfJob(job: Omit<JobAffair, 'principal'>): readonly Place[] {
  try {
    return [...readFrom(job), ...writtenTo(job)]
  } catch {
    return []
  }
}

/** For sight.ts; its places are worked out once, where somebody asks for them. */
export function ownedJob(job: JobAffair): Owned {
  let places: readonly Place[] | undefined
  return {
    owners: [job.principal],
    get places() {
      places ??= placesOfJob(job)
      return places
    },
  }
}

/** Whether the queue of a host is shown, and its to change: limits hold all of the registry, for which the queue is. */
export function allowsQueue(limits: Limits, host: string): boolean {
  return host === LOCAL_QUEUE ? !namesPlaces(limits) : allowsAllBelow(limits, { registry: host, path: '' })
}

function readFrom({ source }: Pick<JobAffair, 'source'>): Place[] {
  return source.startsWith(REMOTE) ? [placeOf(source)] : []
}

function writtenTo({ kind, source, destination, result }: Omit<JobAffair, 'principal'>): Place[] {
  if (!destination?.startsWith(REMOTE)) return []
  const to = parseDestination(destination)
  const { registry, namespace } = to
  if (kind === 'copy') return [{ registry, repository: copiedRepository(to, parseReference(source)) }]
  if (result && kind !== 'mirror') return [placeOf(result.reference)]
  return [{ registry, repository: namespace === '' ? UNKNOWN_NAME : `${namespace}/${UNKNOWN_NAME}` }]
}

function placeOf(reference: string): Place {
  const { registry, repository } = parseReference(reference)
  return { registry, repository }
}

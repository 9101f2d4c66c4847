import { registryId } from '../../content/reference.ts'
import type { Job, JobPackage } from '../model/definitions.ts'
import type { JobFilter } from '../model/requests.ts'

/** What streams of all jobs are filtered by. */
export type StreamFilter = Pick<JobFilter, 'states' | 'kinds' | 'labels' | 'registry'>

/** Whether a filter lets a job through; `registries` are those it talks to. */
export function matchesJob(job: Job, registries: readonly string[], filter: JobFilter): boolean {
  const { createdAfter, endedAfter } = filter
  return (
    matchesState(job.state, filter) &&
    matchesLasting(job, registries, filter) &&
    isOneOf(job.error?.code ?? '', filter.errorCodes) &&
    isAfter(job.createdAt, createdAfter) &&
    isAfter(job.endedAt, endedAfter) &&
    equals(job.principal, filter.principal) &&
    isPackage(job, filter.package) &&
    equals(job.requestId, filter.requestId) &&
    isTrace(job.traceparent, filter.traceparent) &&
    contains(job, filter.q)
  )
}

export function matchesState(state: Job['state'], { states }: StreamFilter): boolean {
  return isOneOf(state, states)
}

/** By what stays as it is as long as the job is there. */
export function matchesLasting(
  job: Pick<Job, 'kind' | 'labels'>,
  registries: readonly string[],
  { kinds, registry, labels = [] }: StreamFilter,
): boolean {
  return (
    isOneOf(job.kind, kinds) &&
    (registry === undefined || registries.includes(registryId(registry))) &&
    labels.every(({ key, value }) => Object.hasOwn(job.labels, key) && job.labels[key] === value)
  )
}

function isOneOf<T>(value: T, wanted: readonly T[] | undefined): boolean {
  return wanted === undefined || wanted.length === 0 || wanted.includes(value)
}

function equals(value: string, wanted: string | undefined): boolean {
  return wanted === undefined || value === wanted
}

function isPackage({ package: about }: Job, name: string | undefined): boolean {
  return name === undefined || about?.name === name
}

function isAfter(time: string | null, bound: string | undefined): boolean {
  return bound === undefined || (time !== null && Date.parse(time) > Date.parse(bound))
}

/** traceparent is version-traceid-parentid-flags. */
function isTrace(traceparent: string | null, wanted: string | undefined): boolean {
  if (wanted === undefined || traceparent === wanted) return true
  return traceparent !== null && traceparent.split('-')[1] === wanted
}

function contains(job: Job, q: string | undefined): boolean {
  if (q === undefined) return true
  const wanted = q.toLowerCase()
  const texts = [
    job.id,
    job.source,
    job.destination ?? '',
    job.result?.reference ?? '',
    job.principal,
    ...(job.package ? [nameOf(job.package)] : []),
    ...Object.entries(job.labels).map(([key, value]) => `${key}=${value}`),
  ]
  return texts.some((text) => text.toLowerCase().includes(wanted))
}

/** As people write it. */
function nameOf({ name, version, flavor }: JobPackage): string {
  const tag = [version, flavor].filter((part) => part !== null).join('-')
  return tag === '' ? name : `${name}:${tag}`
}

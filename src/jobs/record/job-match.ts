import type { Job } from '../model/definitions.ts'
import type { JobFilter } from '../model/requests.ts'

/** Whether a filter lets a job through; `registries` are those it talks to. */
export function matchesJob(job: Job, registries: readonly string[], filter: JobFilter): boolean {
  const { registry, createdAfter, endedAfter, labels = [] } = filter
  return (
    isOneOf(job.state, filter.states) &&
    isOneOf(job.kind, filter.kinds) &&
    isOneOf(job.error?.code ?? '', filter.errorCodes) &&
    (registry === undefined || registries.includes(registry.toLowerCase())) &&
    isAfter(job.createdAt, createdAfter) &&
    isAfter(job.endedAt, endedAfter) &&
    equals(job.principal, filter.principal) &&
    equals(job.requestId, filter.requestId) &&
    isTrace(job.traceparent, filter.traceparent) &&
    labels.every(({ key, value }) => Object.hasOwn(job.labels, key) && job.labels[key] === value) &&
    contains(job, filter.q)
  )
}

function isOneOf<T>(value: T, wanted: readonly T[] | undefined): boolean {
  return wanted === undefined || wanted.length === 0 || wanted.includes(value)
}

function equals(value: string, wanted: string | undefined): boolean {
  return wanted === undefined || value === wanted
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
    ...Object.entries(job.labels).map(([key, value]) => `${key}=${value}`),
  ]
  return texts.some((text) => text.toLowerCase().includes(wanted))
}

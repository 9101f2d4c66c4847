import type { Job, JobQuery } from '../../api/types.ts'

/** As they stand in the address. */
export interface JobFilters {
  readonly states: readonly string[]
  readonly kinds: readonly string[]
  readonly labels: readonly string[]
  readonly registry: string
  readonly text: string
}

export const STATES = ['running', 'queued', 'retrying', 'paused', 'failed', 'succeeded', 'canceled'] as const
export const KINDS = ['publish', 'pull', 'copy', 'verify', 'mirror', 'apply', 'delete', 'retention'] as const

export function filtersOf(query: URLSearchParams): JobFilters {
  return {
    states: query.getAll('state'),
    kinds: query.getAll('kind'),
    labels: query.getAll('label'),
    registry: query.get('registry') ?? '',
    text: (query.get('q') ?? '').trim(),
  }
}

export function isFiltered({ states, kinds, labels, registry, text }: JobFilters): boolean {
  return states.length + kinds.length + labels.length > 0 || registry !== '' || text !== ''
}

/** What the daemon is asked. */
export function queryOf({ states, kinds, labels, registry, text }: JobFilters): JobQuery {
  return {
    ...(states.length === 0 ? {} : { state: states as Job['state'][] }),
    ...(kinds.length === 0 ? {} : { kind: kinds as Job['kind'][] }),
    ...(labels.length === 0 ? {} : { label: [...labels] }),
    ...(registry === '' ? {} : { registry }),
    ...(text === '' ? {} : { q: text }),
  }
}

/** Whether a job that has just come belongs into the list; what only the daemon can tell is taken as a yes. */
export function mayFit({ states, kinds, text }: JobFilters, job: Job): boolean {
  // A look is gone again when it was looked at.
  if (job.options.dryRun === true) return false
  if (states.length > 0 && !states.includes(job.state)) return false
  if (kinds.length > 0 && !kinds.includes(job.kind)) return false
  if (text === '') return true
  const { id, source, destination, principal, labels } = job
  const seen = [id, source, destination ?? '', principal, ...Object.entries(labels).flat()].join('\n').toLowerCase()
  return seen.includes(text.toLowerCase())
}

import type { AuditRecord, AuditRecorder } from '../../access/audit.ts'
import type { Reference } from '../../content/reference.ts'
import type { Job, JobResult } from '../../jobs/model/definitions.ts'
import type { JobDeletions } from '../../jobs/progress/deletions.ts'
import type { RemovalNotes, RemovalOutcome, RemovedItem } from '../../transfer/delete/delete.ts'
import { jobProblem } from '../failure.ts'

/** Of what stays; all of it is counted. */
const MOST_KEPT = 1000

/** What went, or in a dry run would go, as its job tells it. */
export function toldRemoval(
  { reference, digest, removed, kept, problems, more }: RemovalOutcome & { readonly more?: number },
  { id, options }: Pick<Job, 'id' | 'options'>,
): Omit<JobResult, 'durationMs'> {
  const removal = {
    dryRun: options.dryRun ?? false,
    removed: [...removed],
    kept: kept.slice(0, MOST_KEPT),
    keptCount: kept.length,
    problems: problems.map((error) => jobProblem(error, id)),
    ...(more === undefined ? {} : { more }),
  }
  return { reference, digest, architecture: '', layers: 0, bytes: 0, removal }
}

/** What runs of a job were about to delete. */
export function removalNotes(deletions: JobDeletions, { id }: Pick<Job, 'id'>): RemovalNotes {
  return {
    load: async () => (await deletions.load(id)).map((text) => JSON.parse(text) as RemovedItem),
    save: (items) =>
      deletions.save(
        id,
        items.map((item) => JSON.stringify(item)),
      ),
  }
}

const ACTIONS = { tag: 'deleteTag', entry: 'deleteEntry', manifest: 'deleteManifest' } as const

/** A line of the audit for each thing that a job deleted. */
export function auditRemovals(
  audit: AuditRecorder,
  { id, principal, requestId }: Pick<Job, 'id' | 'principal' | 'requestId'>,
  { registry, repository }: Pick<Reference, 'registry' | 'repository'>,
): (item: RemovedItem) => void {
  return ({ kind, tag, digest, architecture }) => {
    const named = { ...(tag === undefined ? {} : { tag }), ...(architecture ? { architecture } : {}) }
    const record: AuditRecord = {
      time: new Date().toISOString(),
      principal,
      credential: null,
      address: '',
      action: ACTIONS[kind],
      method: kind === 'entry' ? 'PUT' : 'DELETE',
      route: null,
      target: { job: id, registry, repository, ...named, digest },
      outcome: 'succeeded',
      status: 200,
      code: null,
      requestId,
    }
    audit.record(record)
  }
}

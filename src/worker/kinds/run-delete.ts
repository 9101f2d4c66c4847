import type { AuditRecorder } from '../../access/audit.ts'
import { parseReference, type Reference } from '../../content/reference.ts'
import type { Job } from '../../jobs/model/definitions.ts'
import type { JobDeletions } from '../../jobs/progress/deletions.ts'
import { type DeleteDependencies, deleteReference, planDelete } from '../../transfer/delete/delete.ts'
import { pushDependencies, type PushOptions } from '../registry-access.ts'
import type { JobWork, RunContext } from '../run-job.ts'
import { auditRemovals, removalNotes, toldRemoval } from './told-removal.ts'

export interface DeleteWorkOptions extends Pick<PushOptions, 'registries' | 'locks'> {
  deletions: JobDeletions
  audit: AuditRecorder
}

/** `delete`: a tag of a registry, architectures of the index under one, or a manifest. */
export function deleteWork(options: DeleteWorkOptions): JobWork {
  return async (job, context) => {
    const reference = parseReference(job.source)
    const { architectures, dryRun } = job.options
    const request = {
      reference,
      ...(architectures === undefined || architectures === 'all' ? {} : { architectures }),
    }
    const run = dryRun ? planDelete : deleteReference
    return toldRemoval(await run(request, deleteDependencies(options, { job, reference }, context)), job)
  }
}

/** What jobs that delete get of their run. */
export function deleteDependencies(
  { deletions, audit, ...options }: DeleteWorkOptions,
  { job, reference }: { job: Job; reference: Reference },
  context: RunContext,
): DeleteDependencies {
  const { repository, checkOwnership, lockTag, onEvent, signal } = pushDependencies(options, job, context)
  return {
    repository,
    checkOwnership,
    lockTag,
    notes: removalNotes(deletions, job),
    onRemoved: auditRemovals(audit, job, reference),
    onEvent,
    signal,
  }
}

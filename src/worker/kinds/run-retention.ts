import { parseReference } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { planRetention, retain } from '../../transfer/delete/retention.ts'
import type { JobWork } from '../run-job.ts'
import { deleteDependencies, type DeleteWorkOptions } from './run-delete.ts'
import { toldRemoval } from './told-removal.ts'

/** `retention`: the tags of a repository that its rules do not keep. */
export function retentionWork(options: DeleteWorkOptions): JobWork {
  return async (job, context) => {
    const reference = parseReference(job.source)
    const { retention, force = false, dryRun } = job.options
    if (!retention) throw new AppError('BODY_INVALID', 'a retention job needs "options.retention"')
    const { rules, untagged = false } = retention
    const dependencies = deleteDependencies(options, { job, reference }, context)
    const run = dryRun ? planRetention : retain
    return toldRemoval(await run({ reference, rules, untagged, force }, dependencies), job)
  }
}

import { parseDestination, parseReference } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { copy, planCopy } from '../../transfer/copy/copy.ts'
import {
  DEFAULT_CONCURRENCY,
  pushDependencies,
  type PushOptions,
  signingOf,
  verificationOf,
  type VerifyOptions,
} from '../registry-access.ts'
import type { JobWork } from '../run-job.ts'
import { toldPlan } from './told-plan.ts'

export type CopyWorkOptions = PushOptions & VerifyOptions

/** `copy`: from a registry to another one, or to another repository of the same. */
export function copyWork(options: CopyWorkOptions): JobWork {
  return async (job, context) => {
    if (job.destination === null) throw new AppError('BODY_INVALID', 'a copy job needs a destination')
    const { tag, tags, architectures, concurrency = DEFAULT_CONCURRENCY } = job.options
    const request = {
      source: parseReference(job.source),
      destination: parseDestination(job.destination),
      concurrency,
      ...(await verificationOf('copy', job, options)),
      ...(await signingOf(job, options)),
      ...(tag === undefined ? {} : { tag }),
      ...(tags === undefined ? {} : { tags }),
      ...(architectures === undefined || architectures === 'all' ? {} : { architectures }),
    }
    const dependencies = pushDependencies(options, job, context)
    if (job.options.dryRun) return told(toldPlan(await planCopy(request, dependencies), job))
    return told(await copy(request, dependencies))
  }
}

function told<T extends { architectures: readonly string[]; tags?: readonly string[] }>({
  architectures,
  tags,
  ...outcome
}: T) {
  return { ...outcome, architectures: [...architectures], ...(tags ? { tags: [...tags] } : {}) }
}

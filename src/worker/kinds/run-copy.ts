import { parseDestination, parseReference } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { copy } from '../../transfer/copy/copy.ts'
import {
  DEFAULT_CONCURRENCY,
  pushDependencies,
  type PushOptions,
  signingOf,
  verificationOf,
  type VerifyOptions,
} from '../registry-access.ts'
import type { JobWork } from '../run-job.ts'

export type CopyWorkOptions = PushOptions & VerifyOptions

/** `copy`: from a registry to another one, or to another repository of the same. */
export function copyWork(options: CopyWorkOptions): JobWork {
  return async (job, context) => {
    if (job.destination === null) throw new AppError('BODY_INVALID', 'a copy job needs a destination')
    const { tag, tags, architectures, concurrency = DEFAULT_CONCURRENCY } = job.options
    const {
      architectures: copied,
      tags: copiedTags,
      ...outcome
    } = await copy(
      {
        source: parseReference(job.source),
        destination: parseDestination(job.destination),
        concurrency,
        ...(await verificationOf('copy', job, options)),
        ...(await signingOf(job, options)),
        ...(tag === undefined ? {} : { tag }),
        ...(tags === undefined ? {} : { tags }),
        ...(architectures === undefined || architectures === 'all' ? {} : { architectures }),
      },
      pushDependencies(options, job, context),
    )
    return { ...outcome, architectures: [...copied], ...(copiedTags ? { tags: [...copiedTags] } : {}) }
  }
}

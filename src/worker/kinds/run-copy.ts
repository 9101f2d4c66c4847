import { parseDestination, parseReference } from '../../content/reference.ts'
import type { TagLocks } from '../../jobs/redis/tag-locks.ts'
import type { JobTransferClaims } from '../../jobs/uploads/transfer-claims.ts'
import { AppError } from '../../lib/errors.ts'
import { copy } from '../../transfer/copy/copy.ts'
import {
  DEFAULT_CONCURRENCY,
  transferDependencies,
  type TransferOptions,
  verificationOf,
  type VerifyOptions,
} from '../registry-access.ts'
import type { JobWork } from '../run-job.ts'

export interface CopyWorkOptions extends TransferOptions, VerifyOptions {
  locks: TagLocks
  /** Without them each run sends for itself. */
  claims?: JobTransferClaims
}

/** `copy`: from a registry to another one, or to another repository of the same. */
export function copyWork(options: CopyWorkOptions): JobWork {
  return async (job, context) => {
    const { signal } = context
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
        ...(tag === undefined ? {} : { tag }),
        ...(tags === undefined ? {} : { tags }),
        ...(architectures === undefined || architectures === 'all' ? {} : { architectures }),
      },
      {
        ...transferDependencies(options, job, context),
        ...(options.claims ? { claims: options.claims.forRun(job.id, context.epoch) } : {}),
        lockTag: (reference, task) => options.locks.withTagLock(reference, signal, task),
      },
    )
    return { ...outcome, architectures: [...copied], ...(copiedTags ? { tags: [...copiedTags] } : {}) }
  }
}

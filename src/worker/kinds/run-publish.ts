import type { TagLocks } from '../../jobs/redis/tag-locks.ts'
import type { JobTransferClaims } from '../../jobs/uploads/transfer-claims.ts'
import { parseDestination } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { publish } from '../../transfer/publish/publish.ts'
import {
  DEFAULT_CONCURRENCY,
  publishVerification,
  transferDependencies,
  type TransferOptions,
  type VerifyOptions,
} from '../registry-access.ts'
import type { JobWork } from '../run-job.ts'
import { openForPublish, type PublishSourceOptions } from './publish-source.ts'

export interface PublishWorkOptions extends TransferOptions, VerifyOptions, PublishSourceOptions {
  locks: TagLocks
  /** Without them each run sends for itself. */
  claims?: JobTransferClaims
}

/** `publish`: a package to a registry. */
export function publishWork(options: PublishWorkOptions): JobWork {
  return async (job, context) => {
    const { signal } = context
    if (job.destination === null) throw new AppError('BODY_INVALID', 'a publish job needs a destination')
    const destination = parseDestination(job.destination)
    const verified = await publishVerification(job, destination, options)
    const source = await openForPublish(job, options, context)
    await using opened = source.package
    const { tag, name, artifactType, subject, scan = false, concurrency = DEFAULT_CONCURRENCY } = job.options
    const manifest = job.options.manifest ?? source.manifest
    return await publish(
      {
        package: opened,
        destination,
        scan,
        concurrency,
        ...verified,
        ...(tag === undefined ? {} : { tag }),
        ...(name === undefined ? {} : { name }),
        ...(manifest === undefined ? {} : { manifest }),
        ...(artifactType === undefined ? {} : { artifactType }),
        ...(subject === undefined ? {} : { subject }),
      },
      {
        ...transferDependencies(options, job, context),
        ...(options.claims ? { claims: options.claims.forRun(job.id, context.epoch) } : {}),
        lockTag: (reference, task) => options.locks.withTagLock(reference, signal, task),
      },
    )
  }
}

import type { TagLocks } from '../../jobs/redis/tag-locks.ts'
import type { JobTransferClaims } from '../../jobs/uploads/transfer-claims.ts'
import type { OpenedSource } from '../../content/opened.ts'
import { parseDestination } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { type LocalSources, openLocalSource } from '../../files/local-source.ts'
import { publish, type PublishRequest } from '../../transfer/publish/publish.ts'
import {
  DEFAULT_CONCURRENCY,
  publishVerification,
  transferDependencies,
  type TransferOptions,
  type VerifyOptions,
} from '../registry-access.ts'
import type { JobWork } from '../run-job.ts'

export interface PublishWorkOptions extends TransferOptions, VerifyOptions {
  sources: LocalSources
  locks: TagLocks
  /** Without them each run sends for itself. */
  claims?: JobTransferClaims
  openPackage(source: OpenedSource, options: { signal: AbortSignal }): Promise<PublishRequest['package']>
}

/** `publish`: a package on this machine to a registry. */
export function publishWork(options: PublishWorkOptions): JobWork {
  return async (job, context) => {
    const { signal } = context
    if (job.destination === null) throw new AppError('BODY_INVALID', 'a publish job needs a destination')
    const destination = parseDestination(job.destination)
    const verified = await publishVerification(job, destination, options)
    // By its path again, and checked again: since the API accepted the job it may lead elsewhere.
    const source = await openLocalSource(job.source, options.sources)
    await using opened = await options.openPackage(source, { signal })
    const { tag, name, manifest, artifactType, subject, scan = false, concurrency = DEFAULT_CONCURRENCY } = job.options
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

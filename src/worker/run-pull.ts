import type { JobBlobPlaces } from '../jobs/hints/blob-places.ts'
import { parseReference } from '../content/reference.ts'
import type { JobResult } from '../jobs/model/definitions.ts'
import { locateFolder } from '../files/local-folder.ts'
import { pull, type PullDependencies, type PullOutcome, type PullRequest } from '../transfer/pull/pull.ts'
import { DEFAULT_CONCURRENCY, type Registries } from './registry-access.ts'
import type { JobWork } from './run-job.ts'

export interface PullWorkOptions {
  store: PullDependencies['store']
  /** LAYERD_FILE_ROOTS: `file:` destinations lie inside. */
  roots: readonly string[]
  registries: Registries
  places?: JobBlobPlaces
}

/** `pull`: a package of a registry into the store, or as an archive into a folder of this machine. */
export function pullWork(options: PullWorkOptions): JobWork {
  return async (job, context) => {
    const { signal } = context
    const {
      architecture,
      components,
      overwrite = false,
      concurrency = DEFAULT_CONCURRENCY,
      plainHttp = false,
    } = job.options
    const destination = await openDestination(job.destination, options.roots)
    const repository = options.registries({
      credentials: context.credentials,
      plainHttp,
      jobId: job.id,
      epoch: context.epoch,
      signal,
      mayUse: () => context.checkLease(),
    })
    const outcome = await pull(
      {
        reference: parseReference(job.source),
        destination,
        overwrite,
        concurrency,
        ...(architecture === undefined ? {} : { architecture }),
        ...(components === undefined ? {} : { components }),
      },
      {
        repository,
        store: options.store,
        ...(options.places ? { places: options.places } : {}),
        checkOwnership: () => context.checkOwnership(),
        onEvent: context.onEvent,
        signal,
      },
    )
    return toResult(outcome)
  }
}

/** The store, unless the job names a folder. */
async function openDestination(text: string | null, roots: readonly string[]): Promise<PullRequest['destination']> {
  if (text === null || text === 'store:') return { kind: 'store' }
  return { kind: 'folder', folder: await locateFolder(text, roots) }
}

function toResult({ path, ...outcome }: PullOutcome): Omit<JobResult, 'durationMs'> {
  return { ...outcome, ...(path === undefined ? { archive: `/v1/packages/${outcome.digest}/archive` } : { path }) }
}

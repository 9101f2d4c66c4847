import { parseReference } from '../../content/reference.ts'
import type { JobResult } from '../../jobs/model/definitions.ts'
import { locateFolder } from '../../files/local-folder.ts'
import { openTarget } from '../../files/opened-target.ts'
import { planPull, pull, type PullDependencies, type PullOutcome, type PullRequest } from '../../transfer/pull/pull.ts'
import {
  DEFAULT_CONCURRENCY,
  transferDependencies,
  type TransferOptions,
  verificationOf,
  type VerifyOptions,
} from '../registry-access.ts'
import type { JobWork } from '../run-job.ts'
import { toldPlan } from './told-plan.ts'

export interface PullWorkOptions extends TransferOptions, VerifyOptions {
  store: PullDependencies['store']
  /** LAYERD_FILE_ROOTS: `file:` destinations lie inside. */
  roots: readonly string[]
}

/** `pull`: a package of a registry into the store, or as an archive into a folder of this machine. */
export function pullWork(options: PullWorkOptions): JobWork {
  return async (job, context) => {
    const { architecture, components, images, metadataOnly, transient } = job.options
    const { overwrite = false, concurrency = DEFAULT_CONCURRENCY } = job.options
    await using target = await openDestination(job.destination, options)
    const request = {
      reference: parseReference(job.source),
      overwrite,
      concurrency,
      owner: job.principal,
      ...(await verificationOf('pull', job, options)),
      ...(architecture === undefined ? {} : { architecture }),
      ...(components === undefined ? {} : { components }),
      ...(images === undefined ? {} : { images }),
      ...(metadataOnly ? { metadataOnly } : {}),
      ...(target ? { target } : {}),
      ...(transient ? { holder: job.id } : {}),
    }
    const dependencies = { ...transferDependencies(options, job, context), store: options.store }
    if (job.options.dryRun) return toldPlan(await planPull(request, dependencies), job)
    return toResult(await pull(request, dependencies), transient ? job.id : undefined)
  }
}

/** The store, unless the job names a folder. */
async function openDestination(text: string | null, { roots, store }: PullWorkOptions): Promise<PullRequest['target']> {
  if (text === null || text === 'store:') return undefined
  return openTarget({ path: await locateFolder(text, roots), roots }, store.room)
}

function toResult({ path, ...outcome }: PullOutcome, holder: string | undefined): Omit<JobResult, 'durationMs'> {
  const archive = `/v1/packages/${outcome.digest}/archive${holder === undefined ? '' : `?forJob=${holder}`}`
  return { ...outcome, ...(path === undefined ? { archive } : { path }) }
}

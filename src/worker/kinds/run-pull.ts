import { parseReference } from '../../content/reference.ts'
import type { Job, JobResult } from '../../jobs/model/definitions.ts'
import { openFolderTarget } from '../../files/folder-target.ts'
import { locateFolder } from '../../files/local-folder.ts'
import { openTarget } from '../../files/opened-target.ts'
import { AppError } from '../../lib/errors.ts'
import { planFiles, pullFiles } from '../../transfer/pull/files.ts'
import { planPull, pull, type PullDependencies, type PullOutcome, type PullRequest } from '../../transfer/pull/pull.ts'
import {
  DEFAULT_CONCURRENCY,
  transferDependencies,
  type TransferOptions,
  verificationOf,
  type VerifyOptions,
} from '../registry-access.ts'
import type { JobWork, RunContext } from '../run-job.ts'
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
    if (job.options.form === 'files') return await filesWork(job, context, options)
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

/** The files of whatever lies there, into a folder of this machine. */
async function filesWork(
  job: Job,
  context: RunContext,
  options: PullWorkOptions,
): Promise<Omit<JobResult, 'durationMs'>> {
  const { roots, store } = options
  const { architecture, overwrite = false, dryRun = false, concurrency = DEFAULT_CONCURRENCY } = job.options
  if (job.destination === null) throw new AppError('BODY_INVALID', 'files are pulled into a folder')
  await using folder = openFolderTarget({ path: await locateFolder(job.destination, roots), roots }, store.room)
  const request = {
    reference: parseReference(job.source),
    folder,
    overwrite,
    concurrency,
    ...(await verificationOf('pull', job, options)),
    ...(architecture === undefined ? {} : { architecture }),
  }
  const dependencies = { ...transferDependencies(options, job, context), store }
  if (dryRun) return toldPlan(await planFiles(request, dependencies), job)
  return await pullFiles(request, dependencies)
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

import { join } from 'node:path'
import { busy, type Deployer } from '../../deploy/deploy.ts'
import { openSource } from '../../files/opened-file.ts'
import type { Job, JobResult } from '../../jobs/model/definitions.ts'
import type { TagLocks } from '../../jobs/redis/tag-locks.ts'
import { AppError } from '../../lib/errors.ts'
import { type VerifyOutcome, verifyOpened } from '../../transfer/verify/verify.ts'
import { localVerification } from '../registry-access.ts'
import type { JobWork, RunContext } from '../run-job.ts'
import { bringPackage, type DeployPackageOptions } from './deploy-package.ts'
import type { PublishSourceOptions } from './publish-source.ts'

export interface DeployWorkOptions extends DeployPackageOptions, Pick<PublishSourceOptions, 'openPackage'> {
  deployer: Deployer
  locks: Pick<TagLocks, 'tryAlone'>
}

const DEFAULT_TIMEOUT_SECONDS = 3600

/** `deploy` and `remove`: a package by the program that is made for it, once and not again by itself. */
export function deployWork(options: DeployWorkOptions): JobWork {
  return async (job, context) => {
    // One that an earlier run began is not begun again, be it that its worker was lost.
    if (context.once.was) await context.once.begin()
    const cluster = 'local'
    const alone = await options.locks.tryAlone(`deploy:${cluster}`, context.signal, (signal) =>
      deploy(job, { cluster, options, context: { ...context, signal } }),
    )
    if (!alone) throw busy()
    return alone.done
  }
}

interface Deploying {
  cluster: string
  options: DeployWorkOptions
  context: RunContext
}

async function deploy(job: Job, { cluster, options, context }: Deploying): Promise<Omit<JobResult, 'durationMs'>> {
  const { onEvent, signal } = context
  const { deployer, store } = options
  const variables = variablesOf(job, context)
  await using folder = await deployer.folders.begin(job.id)
  const archive = await bringPackage(job, folder.path, options, context)
  const verified = await verifyCopy(job, archive, { options, context })
  if (verified.packages) throw noBundles()
  const { components, adopt, timeoutSeconds = DEFAULT_TIMEOUT_SECONDS, stepTimeoutSeconds } = job.options
  await using _room = await store.room.reserve({
    path: join(folder.path, 'tmp'),
    bytes: unpackedBytes(verified),
    what: 'archive',
  })
  onEvent({ type: 'phase', phase: 'committing' })
  const request = {
    does: job.kind === 'remove' ? 'remove' : 'deploy',
    jobId: job.id,
    folder: folder.path,
    archive,
    ...variables,
    components,
    adopt,
    timeoutSeconds,
    stepTimeoutSeconds,
    cluster,
  } as const
  const deployed = await deployer.run(request, {
    begin: () => context.once.begin(),
    onSaid: ({ level, message }) => onEvent({ type: 'log', level, message }),
    signal,
  })
  const { checksums: _checksums, signed: _signed, ...outcome } = verified
  return { ...outcome, components: [...deployed.components] }
}

/** Those that are sealed with the others. */
function variablesOf({ options: { set = {}, sensitive = [] } }: Job, { credentials }: RunContext) {
  const { variables = {} } = credentials ?? {}
  if (sensitive.some((name) => !Object.hasOwn(variables, name))) throw variablesGone()
  return { set: { ...set, ...variables }, secrets: Object.values(variables) }
}

function variablesGone(): AppError {
  return new AppError('CREDENTIALS_INVALID', "the job's sensitive variables went when it had ended", {
    hint: 'Make a new job with their values: what is sensitive is not kept for a retry.',
    details: { pointer: '/options/sensitive' },
  })
}

/** What was brought is what is run: its every file is read, and its signature held against what is wanted. */
async function verifyCopy(
  job: Job,
  archive: string,
  { options, context: { onEvent, signal } }: Omit<Deploying, 'cluster'>,
): Promise<VerifyOutcome> {
  const verification = await localVerification(job, options)
  await using pack = await options.openPackage(await openSource(archive), { signal })
  return await verifyOpened(pack, { reference: job.source, verification, onEvent, signal })
}

/** The package once more as its files, and those of its components' archives beside them. */
function unpackedBytes({ bytes }: VerifyOutcome): number {
  return 2 * bytes
}

function noBundles(): AppError {
  return new AppError('DEPLOY_TOOL_UNUSABLE', 'the package is a UDS bundle, which zarf cannot deploy', {
    hint: 'Deploy the packages that it is made of.',
  })
}

import { parseDestination } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import type { OpenedArtifact } from '../../artifact/artifact.ts'
import type { Job, JobResult } from '../../jobs/model/definitions.ts'
import { planArtifact, publishArtifact } from '../../transfer/publish/artifact.ts'
import { planPublish, publish, type PublishDependencies, type PublishRequest } from '../../transfer/publish/publish.ts'
import {
  DEFAULT_CONCURRENCY,
  publishVerification,
  pushDependencies,
  type PushOptions,
  signingOf,
  type VerifyOptions,
} from '../registry-access.ts'
import type { JobWork } from '../run-job.ts'
import { openArtifact } from './artifact-source.ts'
import { openForPublish, type PublishSourceOptions } from './publish-source.ts'
import { toldPlan } from './told-plan.ts'

export type PublishWorkOptions = PushOptions & VerifyOptions & PublishSourceOptions

/** `publish`: a package to a registry. */
export function publishWork(options: PublishWorkOptions): JobWork {
  return async (job, context) => {
    if (job.destination === null) throw new AppError('BODY_INVALID', 'a publish job needs a destination')
    const destination = parseDestination(job.destination)
    const verified = await publishVerification(job, destination, options)
    const signed = await signingOf(job, options)
    const dependencies = pushDependencies(options, job, context)
    const artifact = await openArtifact(job, options, context)
    if (artifact) return await publishOpened(artifact, { destination, ...verified }, { job, dependencies })
    const source = await openForPublish(job, options, context)
    await using opened = source.package
    const { tag, name, artifactType, subject, scan = false, concurrency = DEFAULT_CONCURRENCY } = job.options
    const manifest = job.options.manifest ?? source.manifest
    const request = {
      package: opened,
      destination,
      scan,
      concurrency,
      ...verified,
      ...signed,
      ...(tag === undefined ? {} : { tag }),
      ...(name === undefined ? {} : { name }),
      ...(manifest === undefined ? {} : { manifest }),
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(subject === undefined ? {} : { subject }),
    }
    if (job.options.dryRun) return toldPlan(await planPublish(request, dependencies), job)
    return await publish(request, dependencies)
  }
}

async function publishOpened(
  artifact: OpenedArtifact,
  where: Pick<PublishRequest, 'destination' | 'verificationFor'>,
  { job, dependencies }: { job: Job; dependencies: PublishDependencies },
): Promise<Omit<JobResult, 'durationMs'>> {
  await using opened = artifact
  const { tag, name, subject, dryRun = false, concurrency = DEFAULT_CONCURRENCY } = job.options
  const request = {
    ...where,
    artifact: opened,
    concurrency,
    ...(tag === undefined ? {} : { tag }),
    ...(name === undefined ? {} : { name }),
    ...(subject === undefined ? {} : { subject }),
  }
  if (dryRun) return toldPlan(await planArtifact(request, dependencies), job)
  return await publishArtifact(request, dependencies)
}

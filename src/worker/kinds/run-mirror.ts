import { parseDestination, parseReference, storedDigest } from '../../content/reference.ts'
import { openLocalSource } from '../../files/local-source.ts'
import type { Job, JobResult } from '../../jobs/model/definitions.ts'
import { AppError } from '../../lib/errors.ts'
import {
  type ImageSource,
  mirror,
  type MirrorOutcome,
  openedImages,
  planMirror,
  remoteImages,
  storedImages,
} from '../../transfer/mirror/mirror.ts'
import { createVerification } from '../../trust/verification.ts'
import {
  DEFAULT_CONCURRENCY,
  pushDependencies,
  type PushOptions,
  verificationOf,
  type VerifyOptions,
} from '../registry-access.ts'
import type { JobWork, RunContext } from '../run-job.ts'
import { ownPackages } from './own-packages.ts'
import type { PublishSourceOptions } from './publish-source.ts'
import { toldPlan } from './told-plan.ts'

export type MirrorWorkOptions = PushOptions &
  VerifyOptions &
  Pick<PublishSourceOptions, 'sources' | 'store' | 'openPackage'>

/** `mirror`: the container images of a package into a registry, as zarf names them there. */
export function mirrorWork(options: MirrorWorkOptions): JobWork {
  return async (job, context) => {
    if (job.destination === null) throw new AppError('BODY_INVALID', 'a mirror job needs a destination')
    const { components, images, imageChecksum = true, concurrency = DEFAULT_CONCURRENCY } = job.options
    const verification = await wantedOf(job, options)
    await using source = await openImages(job, context, options)
    const request = {
      source,
      destination: parseDestination(job.destination),
      checksum: imageChecksum,
      concurrency,
      ...(verification ? { verification } : {}),
      ...(components === undefined ? {} : { components }),
      ...(images === undefined ? {} : { images }),
    }
    const dependencies = pushDependencies(options, job, context)
    if (job.options.dryRun) return toldPlan(told(await planMirror(request, dependencies)), job)
    return told(await mirror(request, dependencies))
  }
}

/** Of what comes from a registry the policies for a copy hold as well: it is one, of the images. */
async function wantedOf(job: Job, options: MirrorWorkOptions) {
  if (isRemote(job)) return (await verificationOf('copy', job, options)).verification
  return await createVerification(job.options.verify, options.trustedRoots, options.keys)
}

async function openImages(job: Job, context: RunContext, options: MirrorWorkOptions): Promise<ImageSource> {
  const { source, principal } = job
  const { signal } = context
  const stored = storedDigest(source)
  if (stored !== undefined) return await storedImages(ownPackages(options.store, principal), stored, signal)
  if (isRemote(job)) {
    const reference = parseReference(source)
    const { architecture } = job.options
    const repository = await pushDependencies(options, job, context).repository(
      reference.registry,
      reference.repository,
    )
    return await remoteImages(repository, { reference, architecture }, signal)
  }
  const opened = await options.openPackage(await openLocalSource(source, options.sources), { signal })
  if (opened.kind === 'indexed' || opened.kind === 'streamed') return await openedImages(opened, signal)
  await opened[Symbol.asyncDispose]()
  throw new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${source} is a bundle, and images are mirrored of a package`, {
    hint: 'Mirror each of its packages: layerd bundle lists them, and a bundle in a registry has them by their digests.',
  })
}

function isRemote({ source }: Pick<Job, 'source'>): boolean {
  return source.startsWith('oci://')
}

function told<T extends Pick<MirrorOutcome, 'images' | 'signatures'>>({
  images,
  signatures,
  ...outcome
}: T): Omit<T, 'images' | 'signatures'> & Pick<JobResult, 'images' | 'signatures'> {
  return {
    ...outcome,
    images: images.map(({ references, ...image }) => ({ ...image, references: [...references] })),
    ...(signatures ? { signatures: [...signatures] } : {}),
  }
}

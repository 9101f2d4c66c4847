import { parseDigest } from '../../content/digest.ts'
import type { OpenedSource } from '../../content/opened.ts'
import { parseReference } from '../../content/reference.ts'
import { type LocalSources, openLocalSource } from '../../files/local-source.ts'
import type { PublishRequest } from '../../transfer/publish/publish.ts'
import type { PullDependencies } from '../../transfer/pull/pull.ts'
import { verifyOpened, type VerifyOutcome, verifyRemote, verifyStored } from '../../transfer/verify/verify.ts'
import { createVerification } from '../../trust/verification.ts'
import { transferDependencies, type TransferOptions, type VerifyOptions } from '../registry-access.ts'
import type { JobWork, RunContext } from '../run-job.ts'
import type { Job } from '../../jobs/model/definitions.ts'

export interface VerifyWorkOptions extends TransferOptions, VerifyOptions {
  sources: LocalSources
  store: PullDependencies['store']
  openPackage(source: OpenedSource, options: { signal: AbortSignal }): Promise<PublishRequest['package']>
}

/** `verify`: checksums and signature of a package in a registry, in the store, or on this machine. */
export function verifyWork(options: VerifyWorkOptions): JobWork {
  return async (job, context) => await verify(job, context, options)
}

async function verify(job: Job, context: RunContext, options: VerifyWorkOptions): Promise<VerifyOutcome> {
  const { source } = job
  const { signal, onEvent } = context
  const verification = await createVerification(job.options.verify, options.trustedRoots)
  const shared = { verification, onEvent, signal }
  if (source.startsWith('store:')) {
    return await verifyStored(parseDigest(source.slice('store:'.length)), { ...shared, store: options.store })
  }
  if (source.startsWith('oci://')) {
    const { architecture } = job.options
    const reference = parseReference(source)
    const open = transferDependencies(options, job, context).repository
    const repository = await open(reference.registry, reference.repository)
    return await verifyRemote({ reference, architecture }, { ...shared, repository })
  }
  const opened = await openLocalSource(source, options.sources)
  await using pack = await options.openPackage(opened, { signal })
  return await verifyOpened(pack, { ...shared, reference: source })
}

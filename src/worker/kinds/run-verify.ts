import { parseReference, storedDigest } from '../../content/reference.ts'
import { openLocalSource } from '../../files/local-source.ts'
import { verifyOpened, type VerifyOutcome, verifyRemote, verifyStored } from '../../transfer/verify/verify.ts'
import { createVerification } from '../../trust/verification.ts'
import { transferDependencies, type TransferOptions, type VerifyOptions } from '../registry-access.ts'
import type { JobWork, RunContext } from '../run-job.ts'
import type { Job } from '../../jobs/model/definitions.ts'
import { ownPackages } from './own-packages.ts'
import type { PublishSourceOptions } from './publish-source.ts'

export type VerifyWorkOptions = TransferOptions &
  VerifyOptions &
  Pick<PublishSourceOptions, 'sources' | 'store' | 'openPackage'>

/** `verify`: checksums and signature of a package in a registry, in the store, or on this machine. */
export function verifyWork(options: VerifyWorkOptions): JobWork {
  return async (job, context) => await verify(job, context, options)
}

async function verify(job: Job, context: RunContext, options: VerifyWorkOptions): Promise<VerifyOutcome> {
  const { source } = job
  const { signal, onEvent } = context
  const verification = await createVerification(job.options.verify, options.trustedRoots, options.keys)
  const shared = { verification, onEvent, signal }
  const stored = storedDigest(source)
  if (stored !== undefined)
    return await verifyStored(stored, { ...shared, store: ownPackages(options.store, job.principal) })
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

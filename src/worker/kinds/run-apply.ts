import type { OpenedSource } from '../../content/opened.ts'
import { apply, type ApplyRequest } from '../../transfer/update/apply.ts'
import { createVerification } from '../../trust/verification.ts'
import type { VerifyOptions } from '../registry-access.ts'
import type { JobWork } from '../run-job.ts'
import { openArchiveSource, type PublishSourceOptions } from './publish-source.ts'

export interface ApplyWorkOptions
  extends Omit<VerifyOptions, 'policies'>,
    Pick<PublishSourceOptions, 'sources' | 'store' | 'websites' | 'findFault'> {
  openUpdate: (
    source: OpenedSource,
    options: { signal: AbortSignal; onRead: (bytesRead: number) => void },
  ) => Promise<ApplyRequest['update']>
}

/** `apply`: an update's archive and a stored package to the newer package, into the store. */
export function applyWork(options: ApplyWorkOptions): JobWork {
  return async (job, context) => {
    const { signal, onEvent } = context
    const verification = await createVerification(job.options.verify, options.trustedRoots, options.keys)
    const source = await openArchiveSource(job, options, context)
    const bytesTotal = 'file' in source ? source.file.size : 0
    await using update = await options.openUpdate(source, {
      signal,
      onRead: (bytesRead) => onEvent({ type: 'source', bytesRead, bytesTotal }),
    })
    const request = { update, owner: job.principal, ...(verification ? { verification } : {}) }
    const store = broughtBy(options.store, job.principal)
    const checkOwnership = () => context.checkOwnership()
    return await apply(request, { store, checkOwnership, onEvent, signal })
  }
}

/**
 * What the owner itself brought: an update may name any package by its digest, and nobody looked whether the owner sees it when the job was
 * made.
 */
function broughtBy(store: ApplyWorkOptions['store'], owner: string): ApplyWorkOptions['store'] {
  const own = ({ name }: { name: string }): boolean => name === owner
  return {
    ...store,
    packages: {
      ...store.packages,
      get: (digest) => store.packages.get(digest, own),
      list: () => store.packages.list(own),
    },
  }
}

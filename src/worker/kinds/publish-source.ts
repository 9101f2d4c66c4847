import type { Job } from '../../jobs/model/definitions.ts'
import type { OpenedSource } from '../../content/opened.ts'
import { storedDigest } from '../../content/reference.ts'
import { type LocalSources, openLocalSource } from '../../files/local-source.ts'
import { isWebSource, parseWebSource } from '../../files/web-source.ts'
import { checkWhole } from '../../files/whole-file.ts'
import type { PullDependencies } from '../../transfer/pull/pull.ts'
import type { PublishRequest } from '../../transfer/publish/publish.ts'
import { openStored, storedKind } from '../../transfer/publish/open.ts'
import { AppError } from '../../lib/errors.ts'
import { openRemoteFile, type RemoteFileOptions } from '../../web/remote-file.ts'
import { type RegistryAccess, registryAccess } from '../registry-access.ts'
import type { RunContext } from '../run-job.ts'
import { ownPackages } from './own-packages.ts'

export interface PublishSourceOptions {
  sources: LocalSources
  store: PullDependencies['store']
  openPackage: (source: OpenedSource, options: { signal: AbortSignal }) => Promise<PublishRequest['package']>
  /** Opens other servers as one run may. */
  websites: (access: RegistryAccess) => (host: string) => RemoteFileOptions['transport']
  /** Where an archive is damaged, as far as that can be told. */
  findFault(source: OpenedSource, options: { signal: AbortSignal }): Promise<{ start: number; end: number } | undefined>
}

/** The package, and what it is to be published as where the job does not say. */
export type OpenedForPublish = Pick<PublishRequest, 'package' | 'manifest'>

/** Opens what the job names, by its path or digest again, and checked again: since the API accepted the job it may lead elsewhere. */
export async function openForPublish(
  job: Job,
  options: PublishSourceOptions,
  context: RunContext,
): Promise<OpenedForPublish> {
  const { source: text } = job
  const { signal } = context
  const digest = storedDigest(text)
  if (digest !== undefined) {
    const stored = await openStored(ownPackages(options.store, job.principal), digest, signal)
    return { package: stored, ...(storedKind(stored) === 'artifact' ? { manifest: 'artifact' } : {}) }
  }
  const source = await openArchiveSource(job, options, context)
  return { package: await options.openPackage(source, { signal }) }
}

/** A file or folder of this machine, an upload, or what a web server has; what was said of it as a whole was found right. */
export async function openArchiveSource(
  job: Job,
  { sources, websites, findFault }: Pick<PublishSourceOptions, 'sources' | 'websites' | 'findFault'>,
  context: RunContext,
): Promise<OpenedSource> {
  if (isWebSource(job.source)) return await openFromWeb(job, websites, context)
  const { signal, onEvent } = context
  const source = await openLocalSource(job.source, sources)
  await checkWhole(source, {
    signal,
    onRead: (bytesRead) => onEvent({ type: 'source', bytesRead, bytesTotal: sizeOf(source) }),
    findFault: (damaged) => findFault(damaged, { signal }),
  })
  return source
}

async function openFromWeb(
  job: Job,
  websites: PublishSourceOptions['websites'],
  context: RunContext,
): Promise<OpenedSource> {
  const { url, fileName } = parseWebSource(job.source)
  const { sha256 } = job.options
  if (sha256 === undefined) throw new AppError('BODY_INVALID', 'an https: source needs "options.sha256"')
  const { signal, onEvent } = context
  const file = await openRemoteFile({
    url,
    sha256: sha256.toLowerCase(),
    transport: websites(registryAccess(job, context))(url.host),
    signal,
    onRetry: ({ message }) => onEvent({ type: 'log', level: 'warn', message: `${message}: asking again` }),
  })
  return { fileName, file, sequential: true }
}

function sizeOf(source: OpenedSource): number {
  return 'file' in source ? source.file.size : 0
}

import type { OpenedSource } from '../../content/opened.ts'
import { parseReference, storedDigest } from '../../content/reference.ts'
import { checkWhole } from '../../files/whole-file.ts'
import { openLocalSource } from '../../files/local-source.ts'
import { openTarget } from '../../files/opened-target.ts'
import { AppError } from '../../lib/errors.ts'
import type { Job } from '../../jobs/model/definitions.ts'
import { openStoredArchive } from '../../transfer/bundle/stored.ts'
import { pull } from '../../transfer/pull/pull.ts'
import {
  DEFAULT_CONCURRENCY,
  transferDependencies,
  type TransferOptions,
  verificationOf,
  type VerifyOptions,
} from '../registry-access.ts'
import type { RunContext } from '../run-job.ts'
import { ownPackages } from './own-packages.ts'
import type { PublishSourceOptions } from './publish-source.ts'

export type DeployPackageOptions = TransferOptions &
  VerifyOptions &
  Pick<PublishSourceOptions, 'sources' | 'store' | 'findFault'>

/**
 * Writes the package of a deploy into its working folder, under zarf's name: a copy that nobody else has, so that what is verified there
 * is what is deployed. Returns where it lies. Throws what pulls and opening throw.
 */
export async function bringPackage(
  job: Job,
  folder: string,
  options: DeployPackageOptions,
  context: RunContext,
): Promise<string> {
  await using target = openTarget({ path: folder, roots: [folder] }, options.store.room)
  const { source } = job
  const { signal } = context
  if (source.startsWith('oci://')) {
    const { architecture, concurrency = DEFAULT_CONCURRENCY } = job.options
    const request = {
      reference: parseReference(source),
      target,
      overwrite: false,
      concurrency,
      ...(await verificationOf('deploy', job, options)),
      ...(architecture === undefined ? {} : { architecture }),
    }
    const dependencies = { ...transferDependencies(options, job, context), store: options.store }
    return (await pull(request, dependencies)).path ?? ''
  }
  const stored = storedDigest(source)
  if (stored !== undefined) {
    const store = ownPackages(options.store, job.principal)
    const archive = await openStoredArchive(store, stored, { choice: {}, signal })
    const file = { name: archive.fileName, size: archive.size, overwrite: false }
    await target.prepare(file)
    return await target.write(file, (range) => archive.open(range), signal)
  }
  const opened = await openLocalSource(source, options.sources)
  if (!('file' in opened)) throw noFile(opened)
  await using from = opened.file
  await checkWhole(opened, {
    signal,
    onRead: () => undefined,
    findFault: (damaged) => options.findFault(damaged, { signal }),
  })
  const file = { name: opened.fileName, size: from.size, overwrite: false }
  await target.prepare(file)
  return await target.write(file, (range) => from.stream(range), signal)
}

function noFile({ fileName }: OpenedSource): AppError {
  return new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${fileName} is a folder: a deploy takes a package in one file`, {
    hint: 'Publish the folder, or archive it with zarf, and deploy that.',
    details: { path: fileName, pointer: '/source' },
  })
}

import { requirePlace } from '../../../access/limits.ts'
import { formatReference, parseReference } from '../../../content/reference.ts'
import { locateFolder } from '../../../files/local-folder.ts'
import type { JobOptions } from '../../../jobs/model/job-options.ts'
import { AppError } from '../../../lib/errors.ts'
import type { JobBody } from '../../schemas/job.ts'
import { at, later, parsePackageReference } from '../package-reference.ts'
import { checkForm } from './files.ts'
import type { Checked, CheckOptions, KindOfJob } from './kind.ts'

/** A package of a registry into the store, or into a folder of this machine. */
export const pull = {
  options: [
    'architecture',
    'form',
    'components',
    'images',
    'metadataOnly',
    'dryRun',
    'overwrite',
    'transient',
    'verify',
    'concurrency',
    'plainHttp',
    'trace',
  ],
  needsDestination: false,
  check: checkPull,
  registries: ({ source }) => [parseReference(source).registry],
} as const satisfies KindOfJob

async function checkPull(body: JobBody, { sources: { roots }, mayName, caller }: CheckOptions): Promise<Checked> {
  const { destination = null } = body
  const reference = parsePackageReference(body.source, '/source')
  checkParts(body.options)
  checkForm(body)
  at('/source', () => requirePlace(caller, reference), undefined)
  await later('/source', mayName, reference.registry)
  if (destination?.startsWith('file:') && body.options?.transient === true) throw notTransient()
  if (destination?.startsWith('file:')) await locateFolder(destination, roots)
  else if (destination !== null && destination !== 'store:') throw noPullDestination(destination)
  const { registry } = reference
  return { source: formatReference(reference), destination, queueHost: registry, registries: [registry] }
}

/** What describes a package has neither components nor images. */
function checkParts({ metadataOnly = false, components, images }: JobOptions = {}): void {
  const other = components === undefined ? images && 'images' : 'components'
  if (!metadataOnly || other === undefined) return
  throw new AppError(
    'BODY_INVALID',
    `"options.metadataOnly" leaves out all of them, so "options.${other}" chooses none`,
    {
      hint: 'Leave one of the two out.',
      details: { pointer: `/options/${other}` },
    },
  )
}

function notTransient(): AppError {
  return new AppError('BODY_INVALID', 'a pull into a folder leaves nothing in the store, so it cannot be transient', {
    hint: 'Leave "options.transient" out, or "destination".',
    details: { pointer: '/options/transient' },
  })
}

function noPullDestination(destination: string): AppError {
  return new AppError('BODY_INVALID', `a pull cannot go to "${destination.slice(0, 300)}"`, {
    hint: 'Leave "destination" out for the content store, or name a folder of this machine: file:/packages/.',
    details: { pointer: '/destination' },
  })
}

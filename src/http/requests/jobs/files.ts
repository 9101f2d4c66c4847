import { checkTitle } from '../../../artifact/titles.ts'
import { type Destination, repositoryFor } from '../../../content/reference.ts'
import { checkLocalSource, type LocalSources } from '../../../files/local-source.ts'
import type { ArtifactFile, JobOptions } from '../../../jobs/model/job-options.ts'
import { AppError, withContext } from '../../../lib/errors.ts'
import type { JobBody } from '../../schemas/job.ts'
import { at } from '../package-reference.ts'

/** The source of a publish whose files "options.files" names. */
export const FILES = 'files:'

/** What a publish of files has no use for: there is no package. */
const OF_PACKAGES = ['sha256', 'scan', 'manifest', 'verify', 'sign'] as const satisfies ReadonlyArray<keyof JobOptions>
const OF_FILES = ['files', 'config', 'annotations'] as const satisfies ReadonlyArray<keyof JobOptions>
const OF_ARCHIVES = ['components', 'images', 'metadataOnly', 'transient'] as const satisfies ReadonlyArray<
  keyof JobOptions
>
/** What zarf takes for a name. */
const PACKAGE_NAME = /^[a-z0-9][a-z0-9-]*$/

interface FileSources {
  readonly sources: LocalSources
}

export function isFiles(source: string): boolean {
  return source === FILES
}

/** Which repository files go to. Throws BODY_INVALID, REFERENCE_INVALID. */
export function artifactRepository({ options }: Pick<JobBody, 'options'>, destination: Destination): string {
  const { name } = options ?? {}
  if (name === undefined) {
    throw new AppError('BODY_INVALID', 'the option "name" is missing: files have no name of their own', {
      hint: 'It is that of the repository, below the destination: "name": "notes" in oci://registry.example/team.',
      details: { pointer: '/options/name' },
    })
  }
  return at('/options/name', (text) => repositoryFor(destination, text), name)
}

/**
 * Checks what a publish of files is to read, and that it says where to find what comes of it. Throws BODY_INVALID,
 * PACKAGE_UNSAFE_PATH, and what checkLocalSource throws.
 */
export async function checkFiles({ options = {} }: Pick<JobBody, 'options'>, sources: FileSources): Promise<void> {
  refuse(options, OF_PACKAGES, 'is for packages, and files are none')
  const { files, config, tag, subject } = options
  if (files === undefined) {
    throw new AppError('BODY_INVALID', 'the option "files" is missing: it names those of the artifact', {
      hint: 'For example "files": [{"source": "file:/data/notes.txt", "mediaType": "text/plain"}].',
      details: { pointer: '/options/files' },
    })
  }
  if (tag === undefined && subject === undefined) {
    throw new AppError('BODY_INVALID', 'the option "tag" is missing: files have no version of their own', {
      hint: 'Only what refers to something by "options.subject" needs none, as it is found from there.',
      details: { pointer: '/options/tag' },
    })
  }
  for (const [place, file] of files.entries()) await checkFile(file, `/options/files/${place}`, sources)
  if (config) await checkFile(config, '/options/config', sources)
}

/** A chart is what it is, and says itself how it is called. Throws BODY_INVALID. */
export function refuseForChart(options: JobOptions): void {
  refuse(options, [...OF_PACKAGES, 'files', 'config', 'artifactType'], 'is not for a Helm chart')
}

/** The options of files say nothing of a package. Throws BODY_INVALID. */
export function refuseFileOptions(options: JobOptions = {}): void {
  refuse(options, OF_FILES, `goes with "source": "${FILES}"`)
  const { name } = options
  if (name === undefined || PACKAGE_NAME.test(name)) return
  throw new AppError('BODY_INVALID', `"${name}" is no name of a package`, {
    hint: 'It has lower-case letters, digits and dashes.',
    details: { pointer: '/options/name' },
  })
}

/** Files are pulled into a folder, all of them. Throws BODY_INVALID. */
export function checkForm({ options = {}, destination }: Pick<JobBody, 'options' | 'destination'>): void {
  const { form } = options
  if (form === undefined) return
  refuse(options, OF_ARCHIVES, `is for archives of packages, not for "form": "${form}"`)
  if (destination?.startsWith('file:')) return
  throw new AppError('BODY_INVALID', 'files are pulled into a folder, and "destination" names none', {
    hint: 'Name one of this machine: "destination": "file:/packages/notes/".',
    details: { pointer: '/destination' },
  })
}

async function checkFile({ source, title }: ArtifactFile, pointer: string, { sources }: FileSources): Promise<void> {
  if (title !== undefined) at(`${pointer}/title`, checkTitle, title)
  try {
    const { isDirectory, fileName } = await checkLocalSource(source, sources)
    if (!isDirectory) return
    throw new AppError('BODY_INVALID', `${fileName} is a folder`, { hint: 'Name its files one by one.' })
  } catch (error) {
    throw placed(error, `${pointer}/source`)
  }
}

/** Who opens a source calls it that of the job. */
function placed(error: unknown, pointer: string): AppError {
  const found = withContext(error, {})
  return new AppError(found.code, found.message, {
    retry: found.retry,
    cause: found,
    details: { ...found.details, pointer },
    ...(found.hint === undefined ? {} : { hint: found.hint }),
  })
}

function refuse(options: JobOptions, names: ReadonlyArray<keyof JobOptions>, why: string): void {
  const found = names.find((name) => options[name] !== undefined)
  if (found === undefined) return
  throw new AppError('BODY_INVALID', `the option "${found}" ${why}`, {
    hint: 'Leave it out.',
    details: { pointer: `/options/${found}` },
  })
}

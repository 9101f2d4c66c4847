import { stat } from 'node:fs/promises'
import { basename, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { JobRequest } from '../../client/contract.ts'
import { type CommandContext, CommandFailure, UsageError } from '../../client/context.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { registryAuth, withoutScheme } from '../registry-auth.ts'
import { type DryRunOptions, dryRunOption, jobOptions, labels, settle, submit, type SubmitOptions } from '../submit.ts'
import { forgetUpload, needsUpload, uploadFiles } from '../upload-package.ts'

export interface PushOptions extends SubmitOptions, DryRunOptions {
  artifactType?: string
  annotation?: string[]
  config?: string
}

/** `REGISTRY/PATH/NAME` and what is behind it, as a publish of files wants it. */
interface Place {
  readonly destination: string
  readonly name: string
  readonly tag?: string
  readonly digest?: string
}

/** `layerd push REFERENCE FILE...`: files as an artifact under a tag. */
export async function push(
  context: CommandContext,
  reference: string,
  files: readonly string[],
  options: PushOptions,
): Promise<ExitCode> {
  const { destination, name, tag, digest } = placeOf(reference)
  if (tag === undefined || digest !== undefined) {
    throw new UsageError(`${reference} names no tag: oci://REGISTRY/REPOSITORY:TAG`)
  }
  return await publishFiles(context, { destination, files, place: { name, tag } }, options)
}

/** `layerd attach REFERENCE FILE...`: files that refer to what lies there; they have no tag of their own. */
export async function attach(
  context: CommandContext,
  reference: string,
  files: readonly string[],
  options: PushOptions,
): Promise<ExitCode> {
  const { destination, name, tag, digest } = placeOf(reference)
  const subject = digest ?? tag
  if (subject === undefined) throw new UsageError(`${reference} names neither a tag nor a digest`)
  return await publishFiles(context, { destination, files, place: { name, subject } }, options)
}

/** What is wrong with its parts the daemon tells. */
function placeOf(reference: string): Place {
  const text = withoutScheme(reference)
  const slash = text.lastIndexOf('/')
  const [named = '', digest] = text.slice(slash + 1).split('@')
  const colon = named.lastIndexOf(':')
  if (slash === -1) throw new UsageError(`${reference} names no repository: oci://REGISTRY/REPOSITORY:TAG`)
  return {
    destination: `oci://${text.slice(0, slash)}`,
    name: colon === -1 ? named : named.slice(0, colon),
    ...(colon === -1 ? {} : { tag: named.slice(colon + 1) }),
    ...(digest === undefined ? {} : { digest }),
  }
}

interface Published {
  readonly destination: string
  readonly files: readonly string[]
  readonly place: { readonly name: string; readonly tag?: string; readonly subject?: string }
}

/** By their paths where the daemon can read them all, else by uploads, which go once the job has succeeded. */
async function publishFiles(
  context: CommandContext,
  { destination, files, place }: Published,
  options: PushOptions,
): Promise<ExitCode> {
  const { cwd } = context.terminal
  const named = files.map((text) => fileOf(text, cwd))
  const config = options.config === undefined ? undefined : fileOf(options.config, cwd)
  const all = [...named, ...(config ? [config] : [])]
  for (const { path } of all) await checkFile(path)
  const { artifactType, annotation } = options
  const make = (sources: readonly string[]): JobRequest => ({
    kind: 'publish',
    source: 'files:',
    destination,
    options: {
      ...place,
      files: named.map(({ title, mediaType }, at) => ({ source: sources[at] ?? '', title, ...mediaType })),
      ...(config ? { config: { source: sources.at(-1) ?? '', ...config.mediaType } } : {}),
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(annotation ? { annotations: annotationsOf(annotation) } : {}),
      ...dryRunOption(options),
      ...jobOptions(options),
    },
    ...labels(options),
  })
  const headers = await registryAuth(context, destination, options)
  let uploaded: readonly string[] = []
  const paths = all.map(({ path }) => path)
  const job = await submit(context, make(paths.map((path) => pathToFileURL(path).href)), headers).catch(
    async (error: unknown) => {
      if (!needsUpload(error)) throw error
      if (options.dryRun) throw new CommandFailure(`${error.problem.detail}, and a dry run sends nothing to the daemon`)
      uploaded = await uploadFiles(context, paths)
      return await submit(context, make(uploaded.map((id) => `upload:${id}`)), headers)
    },
  )
  const settled = await settle(context, job, { detach: options.detach === true, quietResult: true })
  if (settled.job?.state === 'succeeded') for (const id of uploaded) await forgetUpload(context, id)
  return settled.exit
}

interface NamedFile {
  readonly path: string
  readonly title: string
  readonly mediaType: { mediaType?: string }
}

/** `PATH[:TYPE]`, as oras takes it; a type has a slash. The title is the path below here, else the name. */
function fileOf(text: string, cwd: string): NamedFile {
  const colon = text.lastIndexOf(':')
  const type = colon > 0 ? text.slice(colon + 1) : ''
  const isTyped = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*\/[A-Za-z0-9!#$&^_.+-]+$/.test(type)
  const path = resolve(cwd, isTyped ? text.slice(0, colon) : text)
  const below = relative(cwd, path).replaceAll('\\', '/')
  const title = below === '' || below.startsWith('../') || below.startsWith('/') ? basename(path) : below
  return { path, title, mediaType: isTyped ? { mediaType: type } : {} }
}

async function checkFile(path: string): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new CommandFailure(
      error.code === 'ENOENT' ? `there is no ${path} on this machine` : `${path} cannot be read here (${error.code})`,
    )
  })
  if (!found.isFile()) throw new CommandFailure(`${path} is no file: name the files of a folder one by one`)
}

function annotationsOf(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=')
      if (at < 1) throw new UsageError(`--annotation takes key=value, not "${text}"`)
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
}

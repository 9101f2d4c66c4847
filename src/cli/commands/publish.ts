import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { JobRequest, Problem } from '../client/contract.ts'
import { ERROR_CODES } from '../../lib/errors.ts'
import { ApiProblem } from '../client/problems.ts'
import { type CommandContext, interruptible } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { byteProgress } from '../view/byte-progress.ts'
import { registryAuth } from './registry-auth.ts'
import { type VerifyChoices, verifyOption } from '../client/verify-option.ts'
import { jobOptions, labels, settle, submit, type SubmitOptions } from './submit.ts'

export interface PublishOptions extends SubmitOptions, VerifyChoices {
  tag?: string
  name?: string
  scan?: boolean
  manifest?: 'image' | 'artifact' | 'auto'
  artifactType?: string
  subject?: string
}

/** `layerd publish PACKAGE REFERENCE`: by path where the daemon can read it, else by upload. */
export async function publish(
  context: CommandContext,
  packagePath: string,
  destination: string,
  options: PublishOptions,
): Promise<ExitCode> {
  const { tag, name, scan, manifest, artifactType, subject } = options
  const body = {
    kind: 'publish' as const,
    destination,
    options: {
      ...(tag === undefined ? {} : { tag }),
      ...(name === undefined ? {} : { name }),
      ...(scan ? { scan: true } : {}),
      ...(manifest === undefined ? {} : { manifest }),
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(subject === undefined ? {} : { subject }),
      ...(await verifyOption(context, options)),
      ...jobOptions(options),
    },
    ...labels(options),
  }
  const headers = await registryAuth(context, destination, options)
  const make = (source: string): JobRequest => ({ ...body, source })
  return await withPackage(context, packagePath, { make, headers, detach: options.detach === true })
}

interface PackageJob {
  make: (source: string) => JobRequest
  headers: Record<string, string>
  detach: boolean
}

/**
 * Makes a job of a package on this machine and watches it: by its path where the daemon can read that, else by an upload, which
 * goes once the job has succeeded.
 */
export async function withPackage(
  context: CommandContext,
  packagePath: string,
  { make, headers, detach }: PackageJob,
): Promise<ExitCode> {
  const path = resolve(context.terminal.cwd, packagePath)
  let uploaded: string | undefined
  const job = await submit(context, make(pathToFileURL(path).href), headers).catch(async (error: unknown) => {
    if (!needsUpload(error)) throw error
    uploaded = (await upload(context, path, error)).id
    return submit(context, make(`upload:${uploaded}`), headers)
  })
  const settled = await settle(context, job, { detach, quietResult: true })
  // One that failed can be run again with it; one that is left behind goes after 24 h.
  if (uploaded !== undefined && settled.job?.state === 'succeeded') await forget(context, uploaded)
  return settled.exit
}

/** What cannot be deleted (a daemon that is gone, a token that may not) goes by itself: no reason to fail. */
async function forget({ client }: CommandContext, upload: string): Promise<void> {
  await client.calls.DELETE('/v1/uploads/{upload}', { params: { path: { upload } } }).catch(() => undefined)
}

/** What a daemon says of a path that it can't read, and this machine perhaps can. */
const UPLOADABLE: ReadonlySet<string> = new Set(['PACKAGE_OUTSIDE_ROOTS', 'PACKAGE_NOT_FOUND', 'PACKAGE_UNREADABLE'])

function needsUpload(error: unknown): error is ApiProblem {
  return error instanceof ApiProblem && UPLOADABLE.has(error.problem.code)
}

async function upload(context: CommandContext, path: string, refusal: ApiProblem): Promise<{ id: string }> {
  const { client, terminal, quiet, json } = context
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new ApiProblem(nowhere(refusal.problem, path, error.code))
  })
  if (found.isDirectory()) {
    throw new ApiProblem({
      ...refusal.problem,
      hint: 'The daemon cannot read this folder. Put it under one of its LAYERD_FILE_ROOTS, or publish the package as an archive.',
    })
  }
  const silent = quiet || json
  if (!silent) terminal.stderr.write(`the daemon cannot read ${path}: uploading it\n`)
  return interruptible(context, 'Not uploaded, and no job was made.', async () => {
    using progress = byteProgress(terminal, { verb: 'uploading', silent })
    return await client.upload(path, progress.update)
  })
}

/** A path that is missing here is most likely misspelt, whatever the daemon says of it. */
function nowhere(refused: Problem, path: string, code: string | undefined): Problem {
  const { errors: _said, ...rest } = refused
  const daemon =
    refused.code === 'PACKAGE_OUTSIDE_ROOTS' ? 'the daemon may not look there' : `the daemon says: ${refused.detail}`
  if (code !== 'ENOENT' && code !== 'ENOTDIR') {
    return { ...rest, detail: `${path} cannot be read here (${code}), and ${daemon}` }
  }
  return {
    ...rest,
    type: '/docs/errors#PACKAGE_NOT_FOUND',
    code: 'PACKAGE_NOT_FOUND',
    title: ERROR_CODES.PACKAGE_NOT_FOUND.title,
    status: ERROR_CODES.PACKAGE_NOT_FOUND.status,
    detail: `there is no ${path} on this machine, and ${daemon}`,
    hint: 'Check the spelling of the path.',
  }
}

import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { goTime } from '../../lib/formats/go-time.ts'
import type { JobRequest } from '../client/contract.ts'
import { type CommandContext, CommandFailure, type RegistryOptions } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { registryAuth } from './registry-auth.ts'
import { type SignChoice, signOption, type VerifyChoices, verifyOption } from '../client/verify-option.ts'
import {
  type DryRunOptions,
  dryRunOption,
  jobOptions,
  labels,
  runJob,
  settle,
  submit,
  type SubmitOptions,
} from './submit.ts'
import { storedDigest } from '../client/stored-digest.ts'
import { forgetUpload, needsUpload, uploadPackage } from './upload-package.ts'

export interface PublishOptions extends SubmitOptions, DryRunOptions, SignChoice, VerifyChoices {
  tag?: string
  name?: string
  sha256?: string
  scan?: boolean
  manifest?: 'image' | 'artifact' | 'auto'
  artifactType?: string
  subject?: string
}

/** What is no path of this machine. */
function namedSource(text: string): string | undefined {
  const digest = storedDigest(text)
  return digest === undefined ? (isWebAddress(text) ? text : undefined) : `store:${digest}`
}

export function isWebAddress(text: string): boolean {
  return /^https?:/i.test(text)
}

/** `layerd publish PACKAGE REFERENCE`: by its address, by its digest out of the store, by path where the daemon can read it, else by upload. */
export async function publish(
  context: CommandContext,
  packagePath: string,
  destination: string,
  options: PublishOptions,
): Promise<ExitCode> {
  const { tag, name, sha256, scan, manifest, artifactType, subject } = options
  const body = {
    kind: 'publish' as const,
    destination,
    options: {
      ...(tag === undefined ? {} : { tag }),
      ...(name === undefined ? {} : { name }),
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(scan ? { scan: true } : {}),
      ...(manifest === undefined ? {} : { manifest }),
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(subject === undefined ? {} : { subject }),
      ...(await verifyOption(context, options)),
      ...signOption(options),
      ...dryRunOption(options),
      ...jobOptions(options),
    },
    ...labels(options),
  }
  const headers = await registryAuth(context, destination, options)
  const make = async (source: string): Promise<JobRequest> => ({
    ...body,
    options: { ...body.options, ...(await chartTime(context, source, packagePath)) },
    source,
  })
  const detach = options.detach === true
  const named = namedSource(packagePath)
  const mayUpload = options.dryRun !== true
  if (named === undefined) return await withPackage(context, packagePath, { make, headers, detach, mayUpload })
  return await runJob(context, await make(named), { headers, detach })
}

/** helm calls a chart as old as its file, which an upload is not. */
async function chartTime(
  { terminal }: CommandContext,
  source: string,
  path: string,
): Promise<{ annotations?: Record<string, string> }> {
  if (!source.startsWith('upload:') || !path.endsWith('.tgz')) return {}
  const { mtime } = await stat(resolve(terminal.cwd, path))
  return { annotations: { 'org.opencontainers.image.created': goTime(mtime) } }
}

interface PackageJob {
  make: (source: string) => JobRequest | Promise<JobRequest>
  headers: Record<string, string>
  detach: boolean
  /** A dry run sends no package to the daemon. Default: it may. */
  mayUpload?: boolean
}

/**
 * Makes a job of a package on this machine and watches it: by its path where the daemon can read that, else by uploads, which
 * go once the job has succeeded.
 */
export async function withPackage(
  context: CommandContext,
  packagePath: string,
  { make, headers, detach, mayUpload = true }: PackageJob,
): Promise<ExitCode> {
  const path = resolve(context.terminal.cwd, packagePath)
  let uploaded: readonly string[] = []
  const job = await submit(context, await make(pathToFileURL(path).href), headers).catch(async (error: unknown) => {
    if (!needsUpload(error)) throw error
    if (!mayUpload) throw notUploaded(path)
    uploaded = await uploadPackage(context, path, error)
    return await submit(context, await make(`upload:${uploaded[0]}`), headers)
  })
  const settled = await settle(context, job, { detach, quietResult: true })
  // One that failed can be run again with it; one that is left behind goes after 24 h.
  if (settled.job?.state === 'succeeded') for (const id of uploaded) await forgetUpload(context, id)
  return settled.exit
}

interface AnyPackageOptions extends RegistryOptions, DryRunOptions {
  detach?: boolean
  /** The registry that the job goes to, which the log-in is for. Default: the one that the package is in. */
  destination?: string
}

/** The same of a package in a registry (oci://), in the store (its digest), or of a file of this machine. */
export async function withAnyPackage(
  context: CommandContext,
  what: string,
  make: (source: string) => JobRequest,
  { destination, dryRun, detach = false, ...login }: AnyPackageOptions,
): Promise<ExitCode> {
  const isStored = /^(?:store:)?sha(?:256|512):/.test(what)
  const isRemote = /^oci:\/\//i.test(what)
  const place = destination ?? (isRemote ? what : undefined)
  const headers = place === undefined ? {} : await registryAuth(context, place, login)
  if (!isStored && !isRemote) return await withPackage(context, what, { make, headers, detach, mayUpload: !dryRun })
  const source = isStored ? `store:${what.replace(/^store:/, '')}` : what
  return await runJob(context, make(source), { headers, detach })
}

function notUploaded(path: string): CommandFailure {
  return new CommandFailure(
    `the daemon cannot read ${path}, and a dry run sends nothing to it: put the package below its LAYERD_FILE_ROOTS`,
  )
}

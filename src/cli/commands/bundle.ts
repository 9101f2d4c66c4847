import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { answer } from '../client/calls.ts'
import type { CommandContext } from '../client/context.ts'
import type { Bundle } from '../client/contract.ts'
import type { ExitCode } from '../client/terminal.ts'
import { bundleImages, bundleText } from '../view/bundle-text.ts'
import { registryAuth } from './registry-auth.ts'
import type { LookOptions } from './remote-package.ts'
import { forgetUpload, needsUpload, uploadPackage } from './upload-package.ts'

export interface BundleOptions extends LookOptions {
  images?: boolean
}

/** `layerd bundle REFERENCE`: what a UDS bundle is of, in a registry, in the store, or as a file, which is sent for the look where the daemon cannot read it. */
export async function bundle(context: CommandContext, what: string, options: BundleOptions): Promise<ExitCode> {
  const { terminal, json } = context
  const isRemote = /^oci:\/\//i.test(what)
  const headers = isRemote ? await registryAuth(context, what, options) : {}
  const found =
    isRemote || NAMED.test(what)
      ? await lookAtBundle(context, nameOf(what), options, headers)
      : await lookAtFile(context, what, options)
  if (json) terminal.stdout.write(`${JSON.stringify(found)}\n`)
  else terminal.stdout.write(options.images === true ? bundleImages(found) : bundleText(found, terminal.stdout.columns))
  return 0
}

/** Throws ApiProblem. */
export async function lookAtBundle(
  { client }: Pick<CommandContext, 'client'>,
  ref: string,
  { architecture, plainHttp }: LookOptions,
  headers: Record<string, string>,
): Promise<Bundle> {
  const query = { ref, ...(architecture === undefined ? {} : { architecture }), ...(plainHttp ? { plainHttp } : {}) }
  return await answer(client.calls.GET('/v1/bundles', { params: { query }, headers }))
}

/** What is no path of this machine. */
const NAMED = /^(?:store|upload|sha(?:256|512)):/

function nameOf(what: string): string {
  return /^sha(?:256|512):/.test(what) ? `store:${what}` : what
}

async function lookAtFile(context: CommandContext, what: string, options: LookOptions): Promise<Bundle> {
  const path = resolve(context.terminal.cwd, what)
  return await lookAtBundle(context, pathToFileURL(path).href, options, {}).catch(async (error: unknown) => {
    if (!needsUpload(error)) throw error
    const [id = ''] = await uploadPackage(context, path, error)
    try {
      return await lookAtBundle(context, `upload:${id}`, options, {})
    } finally {
      await forgetUpload(context, id)
    }
  })
}

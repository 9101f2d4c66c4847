import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { answer } from '../client/calls.ts'
import type { CommandContext } from '../client/context.ts'
import type { Bundle } from '../client/contract.ts'
import type { ExitCode } from '../client/terminal.ts'
import { bundleImages, bundleText } from '../view/bundle-text.ts'
import { registryAuth } from './registry-auth.ts'
import type { LookOptions } from './remote-package.ts'

export interface BundleOptions extends LookOptions {
  images?: boolean
}

/** `layerd bundle REFERENCE`: what a UDS bundle is of, in a registry, in the store, or as a file that the daemon can read. */
export async function bundle(context: CommandContext, what: string, options: BundleOptions): Promise<ExitCode> {
  const { terminal, json } = context
  const isRemote = /^oci:\/\//i.test(what)
  const headers = isRemote ? await registryAuth(context, what, options) : {}
  const found = await lookAtBundle(context, isRemote ? what : localName(terminal.cwd, what), options, headers)
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

function localName(cwd: string, what: string): string {
  if (/^(?:store|upload):/.test(what)) return what
  return /^sha(?:256|512):/.test(what) ? `store:${what}` : pathToFileURL(resolve(cwd, what)).href
}

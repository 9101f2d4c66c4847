import type { CommandContext } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { withPackage } from './publish.ts'
import { registryAuth } from './registry-auth.ts'
import { labels, settle, sharedOptions, submit, type SubmitOptions } from './submit.ts'
import { type VerifyChoices, verifyOption } from '../client/verify-option.ts'

export interface VerifyCommandOptions extends Omit<SubmitOptions, 'concurrency'>, VerifyChoices {
  architecture?: string
}

/** `layerd verify WHAT`: a package in a registry (oci://), in the store (its digest), or a file of this machine. */
export async function verify(context: CommandContext, what: string, options: VerifyCommandOptions): Promise<ExitCode> {
  const { architecture } = options
  const detach = options.detach === true
  const chosen = await verifyOption(context, options)
  const make = (source: string) => ({
    kind: 'verify' as const,
    source,
    // Nothing to check with is no reason to refuse it: what is there is told.
    options: {
      ...(architecture === undefined ? {} : { architecture }),
      ...(chosen.verify ? chosen : { verify: { mode: 'if-possible' as const } }),
      ...sharedOptions(options),
    },
    ...labels(options),
  })
  const isStored = /^(?:store:)?sha256:/.test(what)
  if (!isStored && !/^oci:\/\//i.test(what)) return await withPackage(context, what, { make, headers: {}, detach })
  const source = isStored ? `store:${what.replace(/^store:/, '')}` : what
  const headers = isStored ? {} : await registryAuth(context, what, options)
  const { exit } = await settle(context, await submit(context, make(source), headers), {
    detach,
    quietResult: true,
  })
  return exit
}

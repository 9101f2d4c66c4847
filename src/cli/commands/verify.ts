import type { CommandContext } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { withAnyPackage } from './publish.ts'
import { labels, sharedOptions, type SubmitOptions } from './submit.ts'
import { type VerifyChoices, verifyOption } from '../client/verify-option.ts'

export interface VerifyCommandOptions extends Omit<SubmitOptions, 'concurrency'>, VerifyChoices {
  architecture?: string
}

/** `layerd verify WHAT`: a package in a registry (oci://), in the store (its digest), or a file of this machine. */
export async function verify(context: CommandContext, what: string, options: VerifyCommandOptions): Promise<ExitCode> {
  const { architecture } = options
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
  return await withAnyPackage(context, what, make, options)
}

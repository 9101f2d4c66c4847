import type { CommandContext } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { registryAuth } from './registry-auth.ts'
import { type SignChoice, signOption, type VerifyChoices, verifyOption } from '../client/verify-option.ts'
import { type DryRunOptions, dryRunOption, jobOptions, labels, runJob, type SubmitOptions } from './submit.ts'

export interface CopyOptions extends SubmitOptions, DryRunOptions, SignChoice, VerifyChoices {
  tag?: string
  architecture?: string[]
  tags?: string[]
}

/** `layerd copy REFERENCE DESTINATION`: the daemon moves it; nothing goes through this machine. */
export async function copy(
  context: CommandContext,
  source: string,
  destination: string,
  options: CopyOptions,
): Promise<ExitCode> {
  const { tag, tags, architecture } = options
  const request = {
    kind: 'copy' as const,
    source,
    destination,
    options: {
      ...(tag === undefined ? {} : { tag }),
      ...(tags === undefined ? {} : { tags }),
      ...(architecture === undefined ? {} : { architectures: architecture }),
      ...(await verifyOption(context, options)),
      ...signOption(options),
      ...dryRunOption(options),
      ...jobOptions(options),
    },
    ...labels(options),
  }
  const headers = await registryAuth(context, destination, options)
  return await runJob(context, request, { headers, detach: options.detach })
}

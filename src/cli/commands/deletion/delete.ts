import type { CommandContext } from '../../client/context.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { registryAuth } from '../registry-auth.ts'
import { type DryRunOptions, dryRunOption, labels, runJob, sharedOptions, type SubmitOptions } from '../submit.ts'

export interface DeleteOptions extends Omit<SubmitOptions, 'concurrency'>, DryRunOptions {
  architecture?: string[]
}

/** `layerd delete REFERENCE`: a tag of a registry, architectures of its index, or a manifest that no tag leads to. */
export async function deleteReference(
  context: CommandContext,
  source: string,
  options: DeleteOptions,
): Promise<ExitCode> {
  const { architecture } = options
  const request = {
    kind: 'delete' as const,
    source,
    options: {
      ...(architecture === undefined ? {} : { architectures: architecture }),
      ...dryRunOption(options),
      ...sharedOptions(options),
    },
    ...labels(options),
  }
  const headers = await registryAuth(context, source, options)
  return await runJob(context, request, { headers, detach: options.detach })
}

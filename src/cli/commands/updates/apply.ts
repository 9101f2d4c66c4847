import type { CommandContext } from '../../client/context.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { type VerifyChoices, verifyOption } from '../../client/verify-option.ts'
import { isWebAddress, withPackage } from '../publish.ts'
import { labels, runJob, type SubmitOptions } from '../submit.ts'

export interface ApplyOptions extends Pick<SubmitOptions, 'label' | 'trace' | 'detach'>, VerifyChoices {
  sha256?: string
}

/** `layerd apply UPDATE`: by its address, by path where the daemon can read it, else by upload. */
export async function apply(context: CommandContext, update: string, options: ApplyOptions): Promise<ExitCode> {
  const { sha256, trace } = options
  const detach = options.detach === true
  const chosen = await verifyOption(context, options)
  const make = (source: string) => ({
    kind: 'apply' as const,
    source,
    options: { ...(sha256 === undefined ? {} : { sha256 }), ...(trace ? { trace } : {}), ...chosen },
    ...labels(options),
  })
  if (!isWebAddress(update)) return await withPackage(context, update, { make, headers: {}, detach })
  return await runJob(context, make(update), { headers: {}, detach })
}

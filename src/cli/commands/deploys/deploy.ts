import { listedNames } from '../../../lib/text.ts'
import { type CommandContext, UsageError } from '../../client/context.ts'
import { durationMs } from '../../client/duration.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { type VerifyChoices, verifyOption } from '../../client/verify-option.ts'
import { withAnyPackage } from '../publish.ts'
import { secretFrom } from '../registry-auth.ts'
import { jobOptions, labels, type SubmitOptions } from '../submit.ts'

export interface DeployOptions extends SubmitOptions, VerifyChoices {
  set?: string[]
  sensitiveStdin?: boolean
  components?: string
  adopt?: boolean
  timeout?: string
  stepTimeout?: string
  architecture?: string
}

/** `layerd deploy WHAT` and `layerd remove WHAT`: the daemon runs zarf with it. Throws UsageError, CommandFailure, ApiProblem. */
export async function deploy(
  context: CommandContext,
  what: string,
  { kind, ...options }: DeployOptions & { kind: 'deploy' | 'remove' },
): Promise<ExitCode> {
  const { components, adopt, architecture, timeout, stepTimeout } = options
  if (options.passwordStdin && options.sensitiveStdin) {
    throw new UsageError('--password-stdin and --sensitive-stdin both read standard input')
  }
  const chosen = {
    ...(await variables(context, options)),
    ...(components === undefined ? {} : { components: listedNames(components) }),
    ...(adopt ? { adopt } : {}),
    ...(timeout === undefined ? {} : { timeoutSeconds: seconds('--timeout', timeout) }),
    ...(stepTimeout === undefined ? {} : { stepTimeoutSeconds: seconds('--step-timeout', stepTimeout) }),
    ...(architecture === undefined ? {} : { architecture }),
    ...(await verifyOption(context, options)),
    ...jobOptions(options),
  }
  return await withAnyPackage(
    context,
    what,
    (source) => ({ kind, source, options: chosen, ...labels(options) }),
    options,
  )
}

/** Those on the command line, which other users of this machine may read, and those of standard input, which nobody does. */
async function variables(
  { terminal }: CommandContext,
  { set = [], sensitiveStdin }: DeployOptions,
): Promise<{ set?: Record<string, string>; sensitive?: string[] }> {
  const shown = set.map((text) => pairOf(text, '--set'))
  const lines = sensitiveStdin ? (await secretFrom(terminal)).split(/\r?\n/).filter((line) => line !== '') : []
  const hidden = lines.map((text) => pairOf(text, '--sensitive-stdin'))
  const all = [...shown, ...hidden]
  return {
    ...(all.length === 0 ? {} : { set: Object.fromEntries(all) }),
    ...(hidden.length === 0 ? {} : { sensitive: hidden.map(([name]) => name) }),
  }
}

/** The value may be a secret, so it is not told. */
function pairOf(text: string, option: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new UsageError(`${option} takes NAME=VALUE${option === '--set' ? '' : ', a line each'}`)
  return [text.slice(0, at).toUpperCase(), text.slice(at + 1)]
}

function seconds(option: string, text: string): number {
  const ms = durationMs(text)
  if (ms === undefined) throw new UsageError(`${option} takes 90s, 10m or 2h, not "${text}"`)
  return ms / 1000
}

import { answer } from '../client/calls.ts'
import type { Job, JobRequest } from '../client/contract.ts'
import { type CommandContext, type RegistryOptions, UsageError } from '../client/context.ts'
import { type ExitCode, screenColumns } from '../client/terminal.ts'
import { fold } from '../view/format.ts'
import { removalText } from '../view/removal-text.ts'
import { isGood, planText } from '../view/plan-text.ts'
import { endText } from '../view/texts.ts'
import { watchJob } from './watch.ts'

/** Options of the commands that make jobs. */
export interface SubmitOptions extends RegistryOptions {
  label?: string[]
  concurrency?: number
  trace?: boolean
  detach?: boolean
}

/** Of those that can say what they would do. */
export interface DryRunOptions {
  dryRun?: boolean
}

export async function submit(context: CommandContext, body: JobRequest, headers: Record<string, string>): Promise<Job> {
  return answer(context.client.calls.POST('/v1/jobs', { body, headers }))
}

/** Makes a job and watches it to its end, or only names it. Its result is all that a quiet command prints. */
export async function runJob(
  context: CommandContext,
  body: JobRequest,
  { headers, detach = false }: { headers: Record<string, string>; detach?: boolean | undefined },
): Promise<ExitCode> {
  const { exit } = await settle(context, await submit(context, body, headers), { detach, quietResult: true })
  return exit
}

/** Watches a job that was just made to its end, or only names it. */
export async function settle(
  { client, terminal, json, quiet }: CommandContext,
  job: Job,
  options: { detach: boolean; quietResult: boolean; ending?: (job: Job, exit: ExitCode) => string },
): Promise<{ job: Job | undefined; exit: ExitCode }> {
  const { detach, quietResult, ending = endText } = options
  if (detach) {
    terminal.stdout.write(json ? `${JSON.stringify(job)}\n` : `${job.id}\n`)
    return { job, exit: 0 }
  }
  if (!json && !quiet) terminal.stderr.write(`job ${job.id}\n`)
  const watched = await watchJob(job.id, client, terminal, { json, quiet, ending })
  return watched.job ? tellResult(watched.job, watched.exit, { terminal, json, quiet, quietResult }) : watched
}

/** What is printed of a job that ended. A dry run that found something in the way fails. */
function tellResult(
  job: Job,
  exit: ExitCode,
  {
    terminal,
    json,
    quiet,
    quietResult,
  }: Pick<CommandContext, 'terminal' | 'json' | 'quiet'> & { quietResult: boolean },
): { job: Job; exit: ExitCode } {
  const { plan, removal } = job.result ?? {}
  if (removal && !json && !quiet) {
    terminal.stdout.write(`${removalText(removal)}\n`)
    return { job, exit: removal.problems.length === 0 ? exit : 1 }
  }
  if (plan) {
    if (!json) terminal.stdout.write(`${fold(planText(job, plan), screenColumns(terminal.stdout))}\n`)
    return { job, exit: isGood(plan) ? exit : 1 }
  }
  if (quiet && exit !== 0) terminal.stderr.write(`${endText(job)}\n`)
  if (quiet && exit === 0 && quietResult) terminal.stdout.write(`${resultText(job)}\n`)
  return { job, exit }
}

/** Of the body, what these commands share. */
export function jobOptions({ concurrency, ...options }: SubmitOptions): SharedOptions & { concurrency?: number } {
  return { ...(concurrency === undefined ? {} : { concurrency }), ...sharedOptions(options) }
}

/** `options.dryRun` of a job. */
export function dryRunOption({ dryRun }: DryRunOptions): DryRunOptions {
  return dryRun ? { dryRun } : {}
}

interface SharedOptions {
  plainHttp?: boolean
  trace?: boolean
}

/** What jobs of any kind share. */
export function sharedOptions({ plainHttp, trace }: Omit<SubmitOptions, 'concurrency'>): SharedOptions {
  return {
    ...(plainHttp ? { plainHttp: true } : {}),
    ...(trace ? { trace: true } : {}),
  }
}

export function labels({ label = [] }: SubmitOptions): { labels?: Record<string, string> } {
  const pairs = label.map((text) => {
    const at = text.indexOf('=')
    if (at < 1) throw new UsageError(`--label takes key=value, not "${text}"`)
    return [text.slice(0, at), text.slice(at + 1)] as const
  })
  return pairs.length === 0 ? {} : { labels: Object.fromEntries(pairs) }
}

/** What a script goes on with: the digest, of several tags those that were copied, what was deleted. */
function resultText({ result }: Job): string {
  if (result?.removal) return result.removal.removed.map(({ tag, digest }) => tag ?? digest).join('\n')
  return result?.tags ? result.tags.join('\n') : (result?.digest ?? '')
}

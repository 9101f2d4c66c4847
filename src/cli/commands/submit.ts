import { answer } from '../client/calls.ts'
import type { Job, JobRequest } from '../client/contract.ts'
import { type CommandContext, type RegistryOptions, UsageError } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { endText } from '../view/texts.ts'
import { watchJob } from './watch.ts'

/** Options of the commands that make jobs. */
export interface SubmitOptions extends RegistryOptions {
  label?: string[]
  concurrency?: number
  trace?: boolean
  detach?: boolean
}

export async function submit(context: CommandContext, body: JobRequest, headers: Record<string, string>): Promise<Job> {
  return answer(context.client.calls.POST('/v1/jobs', { body, headers }))
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
  if (quiet && watched.job) {
    if (watched.exit !== 0) terminal.stderr.write(`${endText(watched.job)}\n`)
    else if (quietResult) terminal.stdout.write(`${resultText(watched.job)}\n`)
  }
  return watched
}

/** Of the body, what these commands share. */
export function jobOptions({ concurrency, ...options }: SubmitOptions): SharedOptions & { concurrency?: number } {
  return { ...(concurrency === undefined ? {} : { concurrency }), ...sharedOptions(options) }
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

/** What a script goes on with: the digest, or of several tags those that were copied. */
function resultText({ result }: Job): string {
  return result?.tags ? result.tags.join('\n') : (result?.digest ?? '')
}

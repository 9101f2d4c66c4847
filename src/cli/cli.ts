import type { Job } from '../http/schemas/types.ts'
import { COMMANDS, commandHelp, flag, parseInvocation, textOption, UsageError, usage } from './arguments.ts'
import { ApiProblem, createApiClient } from './client.ts'
import { type CommandContext, CommandFailure, Interrupted } from './context.ts'
import { inspect, jobs, packages } from './lists.ts'
import { problemText } from './texts.ts'
import type { ExitCode, Terminal } from './terminal.ts'
import { publish, pull } from './transfers.ts'
import { watchJob } from './watch.ts'

export type { ExitCode, Terminal } from './terminal.ts'
export { usage }

/** Whether the word is a command of the client, a user of the public API. */
export function isClientCommand(word: string | undefined): boolean {
  return word !== undefined && Object.hasOwn(COMMANDS, word)
}

const HANDLERS: Readonly<Record<string, (context: CommandContext) => Promise<ExitCode>>> = {
  publish,
  pull,
  inspect,
  packages,
  jobs,
  watch,
  cancel: command('cancel'),
  pause: command('pause'),
  resume: command('resume'),
}

/** Runs one client command and answers its exit code; failures are told on standard error. */
export async function runCommand(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const stop = new AbortController()
  try {
    const invocation = parseInvocation(argv)
    if (flag(invocation, 'help')) {
      terminal.stdout.write(commandHelp(invocation.command))
      return 0
    }
    const url = textOption(invocation, 'url') ?? terminal.env.url
    const client = createApiClient({ url, token: terminal.env.token, signal: stop.signal })
    return (await HANDLERS[invocation.command]?.({ invocation, client, terminal, stop })) ?? 2
  } catch (error) {
    if (error instanceof UsageError) {
      terminal.stderr.write(`${error.message}\n`)
      return 2
    }
    if (error instanceof ApiProblem && wantsJson(argv)) terminal.stdout.write(`${JSON.stringify(error.problem)}\n`)
    terminal.stderr.write(`${failureText(error)}\n`)
    return error instanceof Interrupted ? 130 : 1
  } finally {
    stop.abort()
  }
}

/** Known before the words are read, as they may be what is wrong. */
function wantsJson(argv: readonly string[]): boolean {
  return argv.includes('--json')
}

function failureText(error: unknown): string {
  if (error instanceof ApiProblem) return problemText(error.problem)
  return error instanceof CommandFailure || error instanceof Interrupted ? error.message : String(error)
}

async function watch({ invocation, client, terminal }: CommandContext): Promise<ExitCode> {
  const options = { json: flag(invocation, 'json'), quiet: flag(invocation, 'quiet') }
  return (await watchJob(invocation.positionals[0] ?? '', client, terminal, options)).exit
}

/** A word to a job, by its path under the job. */
function command(verb: 'cancel' | 'pause' | 'resume') {
  return async ({ invocation, client, terminal }: CommandContext): Promise<ExitCode> => {
    const id = encodeURIComponent(invocation.positionals[0] ?? '')
    const job = await client.json<Job>('POST', `/v1/jobs/${id}/${verb}`)
    const state = job.state === 'running' && job.reason ? `${job.state} (${job.reason})` : job.state
    terminal.stdout.write(flag(invocation, 'json') ? `${JSON.stringify(job)}\n` : `${job.id} ${state}\n`)
    return 0
  }
}

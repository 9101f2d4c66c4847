import { Command, CommanderError } from 'commander'
import { addClientCommands } from './client-commands.ts'
import { createApiClient } from './client/api-client.ts'
import { ApiProblem } from './client/problems.ts'
import { completionScript, SHELLS, type Shell } from './completion.ts'
import { type CommandContext, CommandFailure, Interrupted, type OutputOptions, UsageError } from './client/context.ts'
import { addRoles, type Roles } from './role-commands.ts'
import { argumentOf, EXIT_CODES } from './shapes.ts'
import { type ExitCode, screenColumns, type Surroundings, type Terminal, terminalOf } from './client/terminal.ts'
import { isLoopback } from '../lib/loopback.ts'
import { fold } from './view/format.ts'
import { problemText } from './view/texts.ts'

export type { ExitCode, Surroundings } from './client/terminal.ts'
export type { Roles } from './role-commands.ts'

export interface ProgramOptions {
  version: string
  roles: Roles
  /** Made for a command of the client alone: it reads its settings. */
  surroundings: () => Surroundings
}

/** Runs a command line and answers its exit code. What goes wrong on the way is told on standard error. */
export async function runProgram(argv: readonly string[], options: ProgramOptions, output: Output): Promise<number> {
  let exit = 0
  const ends = async (task: () => Promise<number>) => {
    exit = await task()
  }
  const program = createProgram(options, output, ends)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return exit
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? 0 : 2
  }
}

/** Where help and errors go. */
export interface Output {
  stdout(text: string): void
  stderr(text: string): void
}

/** Every command that there is, with its help. */
function createProgram(
  { version, roles, surroundings }: ProgramOptions,
  output: Output,
  ends: (task: () => Promise<number>) => Promise<void>,
): Command {
  const program = new Command('layerd')
    .description(
      'Package manager service for Zarf packages in OCI registries.\n\nWithout a command: API, workers and a private Redis, all that one machine needs.',
    )
    .version(`layerd ${version}`, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'explain a command')
    .exitOverride()
    .configureHelp({ subcommandTerm: termOf })
    .configureOutput({
      writeOut: (text) => output.stdout(text),
      writeErr: (text) => output.stderr(text),
      outputError: (text, write) => write(oneLine(text)),
    })
    .addHelpText('after', EXIT_CODES)
  addRoles(program, roles, ends)
  addClientCommands(program, (chosen, task) => ends(() => runClient(terminalOf(surroundings()), chosen, task)))
  program
    .commandsGroup('Beside that:')
    .helpCommand('help [command]', 'explain a command')
    .command('completion')
    .description('print a script that completes commands and options')
    .addArgument(argumentOf('<shell>', 'which shell').choices(SHELLS))
    .addHelpText(
      'after',
      '\nExamples:\n  source <(layerd completion bash)\n  layerd completion fish > ~/.config/fish/completions/layerd.fish',
    )
    .action((shell: Shell) => output.stdout(completionScript(shell, program)))
  return program
}

/** Without "[options]", which all have: on 80 columns what a command does has room beside it. */
function termOf(command: Command): string {
  const names = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`
    return argument.required ? `<${name}>` : `[${name}]`
  })
  return [command.name(), ...names].join(' ')
}

/** One line, with its suggestion: "layerd: unknown command 'pubish' (did you mean publish?)". */
function oneLine(text: string): string {
  return `${text
    .trim()
    .replace(/^error: /, 'layerd: ')
    .replace(/\n\(Did you/, ' (did you')}\n`
}

/** Runs one client command; failures are told on standard error, with --json as a problem on standard output too. */
async function runClient(
  terminal: Terminal,
  chosen: OutputOptions,
  task: (context: CommandContext) => Promise<ExitCode>,
): Promise<ExitCode> {
  const stop = new AbortController()
  const json = chosen.json === true
  try {
    const url = chosen.url ?? terminal.env.url
    const { token } = terminal.env
    if (token !== undefined && chosen.insecure !== true) checkChannel(url)
    const client = createApiClient({ url, token, signal: stop.signal })
    return await task({ client, terminal, stop, json, quiet: chosen.quiet === true })
  } catch (error) {
    if (error instanceof ApiProblem && json) terminal.stdout.write(`${JSON.stringify(error.problem)}\n`)
    terminal.stderr.write(`${fold(failureText(error), screenColumns(terminal.stderr))}\n`)
    if (error instanceof UsageError) return 2
    return error instanceof Interrupted ? 130 : 1
  } finally {
    stop.abort()
  }
}

/** Whoever is on the way could read the token. Throws UsageError. */
function checkChannel(url: string): void {
  if (!URL.canParse(url)) return
  const { protocol, hostname } = new URL(url)
  if (protocol !== 'http:' || isLoopback(hostname)) return
  throw new UsageError(
    `LAYERD_TOKEN would go over plain HTTP to ${hostname}: use https://, or --insecure where the network is yours`,
  )
}

function failureText(error: unknown): string {
  if (error instanceof ApiProblem) return problemText(error.problem)
  const said = error instanceof CommandFailure || error instanceof Interrupted || error instanceof UsageError
  return said ? error.message : String(error)
}

import { type ParseArgsConfig, parseArgs } from 'node:util'

type OptionTable = NonNullable<ParseArgsConfig['options']>

const COMMON = {
  json: { type: 'boolean' },
  quiet: { type: 'boolean', short: 'q' },
  url: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies OptionTable

/** How the daemon reaches the registry. */
const REGISTRY = {
  'plain-http': { type: 'boolean' },
  username: { type: 'string', short: 'u' },
  'password-stdin': { type: 'boolean' },
} as const satisfies OptionTable

const JOB = {
  ...REGISTRY,
  label: { type: 'string', multiple: true },
  concurrency: { type: 'string' },
  detach: { type: 'boolean', short: 'd' },
} as const satisfies OptionTable

export interface CommandShape {
  usage: string
  summary: string
  positionals: number
  options: OptionTable
}

/** Every command with its options, in the order in which the help shows them. */
export const COMMANDS: Readonly<Record<string, CommandShape>> = {
  publish: {
    usage: 'publish PACKAGE oci://REGISTRY[/NAMESPACE] [--tag T] [--name N] [--scan]',
    summary: 'publish a package: a .tar.zst or .tar file, or an unpacked folder',
    positionals: 2,
    options: {
      ...COMMON,
      ...JOB,
      tag: { type: 'string', short: 't' },
      name: { type: 'string' },
      scan: { type: 'boolean' },
    },
  },
  pull: {
    usage: 'pull oci://REGISTRY/REPOSITORY:TAG [-o DIR | --store] [-a ARCH] [--components A,B] [--overwrite]',
    summary: 'pull a package and save its archive in DIR (default: here)',
    positionals: 1,
    options: {
      ...COMMON,
      ...JOB,
      output: { type: 'string', short: 'o' },
      store: { type: 'boolean' },
      architecture: { type: 'string', short: 'a' },
      components: { type: 'string' },
      overwrite: { type: 'boolean' },
    },
  },
  inspect: {
    usage: 'inspect oci://REGISTRY/REPOSITORY:TAG [-a ARCH]',
    summary: 'show what a published package holds, without pulling it',
    positionals: 1,
    options: { ...COMMON, ...REGISTRY, architecture: { type: 'string', short: 'a' } },
  },
  packages: { usage: 'packages', summary: 'list the packages in the content store', positionals: 0, options: COMMON },
  jobs: {
    usage: 'jobs [--state S]',
    summary: 'list jobs, newest first',
    positionals: 0,
    options: { ...COMMON, state: { type: 'string', multiple: true } },
  },
  watch: { usage: 'watch JOB', summary: 'follow a job until it ends', positionals: 1, options: COMMON },
  cancel: { usage: 'cancel JOB', summary: 'cancel a job', positionals: 1, options: COMMON },
  pause: { usage: 'pause JOB', summary: 'let a job rest', positionals: 1, options: COMMON },
  resume: { usage: 'resume JOB', summary: 'go on with a paused job', positionals: 1, options: COMMON },
}

export interface Invocation {
  command: string
  positionals: readonly string[]
  options: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>
}

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Throws UsageError with one line that says what is wrong. */
export function parseInvocation(argv: readonly string[]): Invocation {
  const [command = '', ...rest] = argv
  const shape = COMMANDS[command]
  if (!shape) throw new UsageError(`layerd has no command "${command}"`)
  const parsed = parse(rest, shape, command)
  if (parsed.values['help'] !== true && parsed.positionals.length !== shape.positionals) {
    throw new UsageError(`layerd ${shape.usage}: got ${parsed.positionals.length} of ${shape.positionals} arguments`)
  }
  return { command, positionals: parsed.positionals, options: parsed.values }
}

export function textOption(invocation: Invocation, name: string): string | undefined {
  const value = invocation.options[name]
  return typeof value === 'string' ? value : undefined
}

export function textOptions(invocation: Invocation, name: string): string[] {
  const value = invocation.options[name]
  return Array.isArray(value) ? value.map(String) : []
}

export function flag(invocation: Invocation, name: string): boolean {
  return invocation.options[name] === true
}

export function commandHelp(command: string): string {
  const shape = COMMANDS[command]
  if (!shape) return usage()
  const options = Object.entries(shape.options).map(
    ([name, option]) =>
      `  ${option.short ? `-${option.short}, ` : '    '}--${name}${option.type === 'string' ? ' VALUE' : ''}`,
  )
  return [`layerd ${shape.usage}`, `  ${shape.summary}`, '', ...options, ''].join('\n')
}

/** The client half of `layerd --help`. */
export function usage(): string {
  const lines = Object.values(COMMANDS).map((shape) => `  layerd ${shape.usage}\n      ${shape.summary}`)
  return ['Commands of the client (LAYERD_URL, LAYERD_TOKEN):', ...lines, ''].join('\n')
}

function parse(args: string[], shape: CommandShape, command: string) {
  try {
    return parseArgs({ args, options: shape.options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(`layerd ${command}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

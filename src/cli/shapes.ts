import { Argument, type Command, InvalidArgumentError, Option } from 'commander'

/** Under each help. */
export const EXIT_CODES = '\nExit codes: 0 success, 1 failure, 2 wrong use, 130 interrupted (Ctrl-C).'

export function argumentOf(name: string, description: string): Argument {
  return new Argument(name, description)
}

/** Options of every command of the client. */
export function withOutput(command: Command): Command {
  return command
    .option('--json', 'answer in JSON, one value a line')
    .option('-q, --quiet', 'print the result alone')
    .option('--url <url>', 'where the daemon is (default: LAYERD_URL, else http://127.0.0.1:8420)')
    .option('--insecure', 'send the token over plain HTTP to another machine')
    .addHelpText('after', EXIT_CODES)
}

/** How the daemon is to show itself to the registry. */
export function withLogin(command: Command): Command {
  return command
    .option('-u, --username <name>', "user at the registry; default: what the daemon's own Docker login has")
    .option('--password-stdin', 'read the password from standard input')
}

export function withRegistry(command: Command): Command {
  return withLogin(command).option('--plain-http', 'speak plain HTTP to the registry')
}

/** Of the commands that make jobs. */
export function withJob(command: Command): Command {
  return withTrace(withRegistry(command)).option(
    '--concurrency <n>',
    'layers at once, 1 to 32 (default: 6)',
    wholeNumber(1, 32),
  )
}

/** Of the commands that can say what they would do. */
export function withDryRun(command: Command): Command {
  return command.option('--dry-run', 'say what would be done, and write nothing')
}

/** Of any job. */
export function withTrace(command: Command): Command {
  return command
    .option('--label <key=value>', 'to find the job by; repeatable', collect)
    .option('--trace', 'keep what each request to the registry did, for layerd trace')
    .option('-d, --detach', 'print the job and do not wait for it')
}

/** Of the commands that may sign. */
export function withSign(command: Command): Command {
  return command.option('--sign <key>', 'sign the package with this key of the daemon (layerd keys)')
}

/** Whom a package has to be signed by. */
export function withVerify(command: Command): Command {
  const modes = new Option('--verify <mode>', 'default with a key or an identity: always').choices([
    'always',
    'if-possible',
    'never',
  ])
  return command
    .option('--key <file>', 'public key that the package has to be signed with, in PEM')
    .option('--key-ref <name>', 'the same, as the daemon keeps it (layerd keys)')
    .option('--identity <san>', 'who has to have signed it without a key (keyless)')
    .option('--issuer <url>', 'who has to have vouched for them')
    .option('--pattern', 'identity and issuer are patterns of the whole text: * ? [a-c]')
    .option('--trusted-root <name>', "whose certificates count, of the daemon's (default: default)")
    .addOption(modes)
}

/** What `publish` may write. */
export function manifestOption(): Option {
  const description =
    "image as zarf does (default), artifact as zarf v0.25 did (today's cannot read it), auto: artifact where the registry takes it"
  return new Option('--manifest <kind>', description).choices(['image', 'artifact', 'auto'])
}

/** For options that may come several times. */
export function collect(value: string, before: string[] = []): string[] {
  return [...before, value]
}

export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d{1,6}$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`It takes a whole number from ${least} to ${most}.`)
  }
}

export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`
}

import { type Command, Option } from 'commander'
import type { OutputOptions, RegistryOptions } from './client/context.ts'
import type { RunClient } from './client-commands.ts'
import { ping } from './commands/registries/ping.ts'
import { LOGIN_KINDS } from './commands/registries/login-credentials.ts'
import { login, type LoginOptions, logout, registries } from './commands/registries/registries.ts'
import { registryProfile } from './commands/registries/registry-profile.ts'
import { collect, examples, withOutput, withRegistry } from './shapes.ts'

/** The commands about registries themselves. */
export function addRegistryCommands(program: Command, run: RunClient): void {
  addPing(program, run)
  const entering = program
    .command('login')
    .description('keep credentials of a registry in the daemon, for all jobs')
    .argument('<registry>', 'HOST[:PORT], or HOST[:PORT]/PATH for the repositories that begin with the path')
    .option('-u, --username <name>', 'user at the registry')
    .option('--password-stdin', 'read the password from standard input, which is where it comes from anyway')
    .addOption(kindOption())
    .option(
      '--repository <pattern>',
      'what they are for: team/nemo, team/*, team/**; repeatable (default: all)',
      collect,
    )
    .option('--plain-http', 'speak plain HTTP to the registry, with these credentials')
    .option('--ca <file>', 'PEM of certificates to be believed for this registry')
    .option('--client-cert <file>', 'PEM of the certificate that it is shown')
    .option('--client-key <file>', 'PEM of its key, not encrypted')
    .option('--proxy <url>', 'proxy for this registry, or direct; @FILE where it holds a password')
    .option('--mirror <host>', 'HOST[:PORT][/PATH] where pulls ask first')
    .option('--no-check', 'keep them without showing them to the registry')
    .addHelpText('after', LOGIN_EXAMPLES)
  withOutput(entering).action((place: string, options: OutputOptions & LoginOptions) =>
    run(options, (context) => login(context, place, options)),
  )
  withOutput(program.command('logout').description('forget what is kept of a registry'))
    .argument('<registry>', 'HOST[:PORT][/PATH]')
    .action((place: string, options: OutputOptions) => run(options, (context) => logout(context, place)))
  withOutput(program.command('registries').description('list the registries that something is kept of'))
    .argument('[registry]', 'HOST[:PORT]: what is known of the ways of this one')
    .action((place: string | undefined, options: OutputOptions) =>
      run(options, (context) => (place === undefined ? registries(context) : registryProfile(context, place))),
    )
}

function kindOption(): Option {
  return new Option('--kind <kind>', 'of what comes on standard input').choices(LOGIN_KINDS).default('password')
}

const LOGIN_EXAMPLES = examples(
  'layerd login ghcr.io -u ann --password-stdin < token.txt',
  "pass show x | layerd login registry.example -u ann --repository 'team/**'",
  'layerd login europe-docker.pkg.dev --kind google < key.json',
  `echo '{"chain": true}' | layerd login public.ecr.aws --kind aws`,
  'layerd login harbor.corp -u ann --ca corp-ca.pem < password.txt',
)

function addPing(program: Command, run: RunClient): void {
  const pinging = program
    .command('ping')
    .description('find out what is wrong with a registry')
    .argument('<registry>', 'HOST[:PORT][/REPOSITORY]; with a repository, its rights to pull and push too')
    .addHelpText('after', PING_EXAMPLES)
  withOutput(withRegistry(pinging)).action((place: string, options: OutputOptions & RegistryOptions) =>
    run(options, (context) => ping(context, place, options)),
  )
}

const PING_EXAMPLES = examples('layerd ping ghcr.io/team/nemo', 'layerd ping 127.0.0.1:5000 --json | jq .checks')

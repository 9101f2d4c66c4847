import type { Command } from 'commander'
import type { OutputOptions } from './client/context.ts'
import type { RunClient } from './client-commands.ts'
import { addKey, type AddKeyOptions, keys, removeKey } from './commands/keys/keys.ts'
import { examples, withOutput } from './shapes.ts'

/** The commands about keys that the daemon keeps. */
export function addKeyCommands(program: Command, run: RunClient): void {
  const listing = withOutput(
    program.command('keys').description('list the keys that are kept to sign and to verify with'),
  )
  listing.action((options: OutputOptions) => run(options, keys))
  const adding = listing
    .command('add')
    .description('keep a key in the daemon, for all jobs')
    .argument('<name>', 'as jobs name it')
    .argument('[file]', 'cosign.key, a private key in PEM, or a public one to verify with')
    .option('--password-stdin', "read the password of cosign's file from standard input")
    .option('--kms <key>', 'in place of a file: ARN, id or alias/NAME of a key of AWS KMS')
    .option('--region <region>', 'of AWS, where the ARN does not tell it')
    .option('--role-arn <arn>', 'a role of AWS to assume first')
    .option('--aws-stdin', "read keys of AWS as JSON from standard input (default: the daemon's own)")
    .option('--replace', 'put it in the place of a key that is there')
    .addHelpText('after', ADD_EXAMPLES)
  withOutput(adding).action((name: string, file: string | undefined, options: AddKeyOptions, command: Command) =>
    run(allOf(options, command), (context) => addKey(context, name, { ...options, file })),
  )
  withOutput(listing.command('rm').description('forget a key'))
    .argument('<name>', 'as jobs name it')
    .action((name: string, options: OutputOptions, command: Command) =>
      run(allOf(options, command), (context) => removeKey(context, name)),
    )
}

/** Options that stand in front of `add` belong to `keys`. */
function allOf<T extends OutputOptions>(options: T, command: Command): T {
  return { ...command.optsWithGlobals<T>(), ...options }
}

const ADD_EXAMPLES = examples(
  'layerd keys add release cosign.key --password-stdin < password.txt',
  'layerd keys add release --kms arn:aws:kms:eu-central-1:123456789012:key/1f0e...',
  'layerd keys add vendor vendor.pub',
)

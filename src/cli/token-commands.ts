import type { Command } from 'commander'
import type { OutputOptions } from './client/context.ts'
import type { RunClient } from './client-commands.ts'
import { addToken, type AddTokenOptions, removeToken, tokens } from './commands/tokens/tokens.ts'
import { examples, withOutput } from './shapes.ts'

/** The commands about tokens that the daemon issues. */
export function addTokenCommands(program: Command, run: RunClient): void {
  const listing = withOutput(program.command('tokens').description('list the tokens that the daemon issued'))
  listing.action((options: OutputOptions) => run(options, tokens))
  const adding = listing
    .command('add')
    .description('issue a token: it alone goes to standard output, this once')
    .argument('<name>', 'whose its jobs, uploads and packages are')
    .requiredOption('--scopes <a,b>', 'what it may do, as jobs:write,uploads:write; * is all')
    .option('--registries <a,b>', 'limit it to these registries')
    .option('--repositories <a,b>', 'limit it to these, as ghcr.io/team/**')
    .option('--kinds <a,b>', 'limit it to jobs of these kinds')
    .option('--expires <when>', '30d, 12h, 90m, or a date (default: never)')
    .option('--description <text>', 'what it is for')
    .addHelpText('after', ADD_EXAMPLES)
  withOutput(adding).action((name: string, options: AddTokenOptions, command: Command) =>
    run(allOf(options, command), (context) => addToken(context, name, options)),
  )
  withOutput(listing.command('rm').description('take a token away, at once'))
    .argument('<id>', 'as layerd tokens tells it')
    .action((id: string, options: OutputOptions, command: Command) =>
      run(allOf(options, command), (context) => removeToken(context, id)),
    )
}

/** Options that stand in front of `add` belong to `tokens`. */
function allOf<T extends OutputOptions>(options: T, command: Command): T {
  return { ...command.optsWithGlobals<T>(), ...options }
}

const ADD_EXAMPLES = examples(
  'layerd tokens add ci --scopes jobs:write,uploads:write --expires 90d > ci.token',
  "layerd tokens add team --scopes '*' --repositories 'ghcr.io/team/**'",
)

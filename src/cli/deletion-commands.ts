import { type Command, Option } from 'commander'
import type { OutputOptions } from './client/context.ts'
import { type DeleteOptions, deleteReference } from './commands/deletion/delete.ts'
import type { RunClient } from './client-commands.ts'
import { retention, type RetentionOptions } from './commands/deletion/retention.ts'
import { wholeNumber, collect, examples, withDryRun, withOutput, withRegistry, withTrace } from './shapes.ts'

/** The commands that take something away from a registry. */
export function addDeletionCommands(program: Command, run: RunClient): void {
  program.commandsGroup('Delete in registries:')
  const deleting = program
    .command('delete')
    .description('delete a tag in a registry, and what nothing refers to any more')
    .argument('<reference>', 'oci://REGISTRY/REPOSITORY:TAG, or @DIGEST of what no tag leads to')
    .option(
      '-a, --architecture <arch>',
      'out of the index under the tag, which stays for the others; repeatable',
      collect,
    )
    .addHelpText('after', DELETE_EXAMPLES)
  withOutput(withTrace(withRegistry(withDryRun(deleting)))).action(
    (reference: string, options: OutputOptions & DeleteOptions) =>
      run(options, (context) => deleteReference(context, reference, options)),
  )
  addRetention(program, run)
}

function addRetention(program: Command, run: RunClient): void {
  const keeping = program
    .command('retention')
    .description('delete the tags of a repository that are not to be kept')
    .argument('<repository>', 'oci://REGISTRY/REPOSITORY')
    .requiredOption('--tags <pattern>', 'of these tags, * ? [0-9] as in Go; repeatable', collect)
    .option('--except <pattern>', 'but not of these; repeatable', collect)
    .option('--keep <n>', 'so many of them stay, the newest', wholeNumber(1, 10_000))
    .addOption(
      new Option(
        '--by <what>',
        'what newest means: the version that a tag says (default), or when it was made',
      ).choices(['version', 'created']),
    )
    .option('--older-than <age>', 'only what was made before: 30d, 8w')
    .option('--untagged', 'also signatures and lists of what is gone')
    .option('--force', 'also where a pattern takes every tag, or no tag would be left')
    .addHelpText('after', RETENTION_EXAMPLES)
  withOutput(withTrace(withRegistry(withDryRun(keeping)))).action(
    (repository: string, options: OutputOptions & RetentionOptions) =>
      run(options, (context) => retention(context, repository, options)),
  )
}

const RETENTION_EXAMPLES = examples(
  "layerd retention --dry-run oci://r.example/nemo --tags '1.*' --keep 5",
  "layerd retention oci://r.example/nemo --tags 'nightly-*' --older-than 30d",
)
const DELETE_EXAMPLES = examples(
  'layerd delete --dry-run oci://registry.example/team/nemo:1.2.0',
  'layerd delete oci://registry.example/team/nemo:1.2.0 -a arm64',
)

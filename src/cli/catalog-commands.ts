import { type Command, Option } from 'commander'
import type { OutputOptions } from './client/context.ts'
import type { RunClient } from './client-commands.ts'
import { search, type SearchOptions, versions, type VersionsOptions } from './commands/catalog/search.ts'
import {
  addRegistry,
  type AddRegistryOptions,
  catalog,
  refresh,
  removeRegistry,
} from './commands/catalog/registries.ts'
import { collect, examples, wholeNumber, withOutput } from './shapes.ts'

/** The commands about what registries hold. */
export function addCatalogCommands(program: Command, run: RunClient): void {
  const searching = program
    .command('search')
    .description('find packages in the registries of the catalogue')
    .argument('[words...]', 'all of them in repository, name, kind or description')
    .option('-n, --limit <n>', 'how many, at most 20000', wholeNumber(1, 20_000), 200)
    .option('--registry <host>', 'in this one alone')
    .addHelpText('after', SEARCH_EXAMPLES)
  withOutput(withFilter(searching)).action((words: string[], options: OutputOptions & SearchOptions) =>
    run(options, (context) => search(context, words, options)),
  )
  const listing = withOutput(
    program.command('catalog').description('list the registries of the catalogue, and how far it is'),
  )
  listing.action((options: OutputOptions) => run(options, catalog))
  const adding = listing
    .command('add')
    .description('have a registry in the catalogue, looked at in the background')
    .argument('<registry>', 'HOST[:PORT]')
    .option('--repository <pattern>', 'team/nemo, team/*, team/**; repeatable (default: all that it lists)', collect)
    .addOption(
      new Option('--source <source>', 'where its repositories are known from').choices([
        'auto',
        'registry',
        'harbor',
        'list',
      ]),
    )
    .option('--every <seconds>', 'from one refresh to the next (default: 3600)', wholeNumber(60, 999_999))
    .addHelpText('after', ADD_EXAMPLES)
  withOutput(adding).action((place: string, options: AddRegistryOptions, command: Command) =>
    run(allOf(options, command), (context) => addRegistry(context, place, allOf(options, command))),
  )
  withOutput(listing.command('remove').description('take a registry out of the catalogue'))
    .argument('<registry>', 'HOST[:PORT]')
    .action((place: string, options: OutputOptions, command: Command) =>
      run(allOf(options, command), (context) => removeRegistry(context, place)),
    )
  withOutput(listing.command('refresh').description('look at a registry again, or at one of its repositories'))
    .argument('<registry>', 'HOST[:PORT][/REPOSITORY]')
    .action((place: string, options: OutputOptions, command: Command) =>
      run(allOf(options, command), (context) => refresh(context, place)),
    )
  const telling = listing
    .command('versions')
    .description('list the tags of a repository, the highest version first')
    .argument('<reference>', 'oci://REGISTRY/REPOSITORY')
    .option('-n, --limit <n>', 'how many, at most 20000', wholeNumber(1, 20_000), 200)
  withOutput(withFilter(telling)).action((reference: string, options: VersionsOptions, command: Command) =>
    run(allOf(options, command), (context) => versions(context, reference, allOf(options, command))),
  )
}

function withFilter(command: Command): Command {
  return command
    .option('--name <name>', 'the whole name')
    .option('--kind <kind>', 'package, init, skeleton, bundle, chart, image or other')
    .option('-a, --architecture <arch>', 'what has this one')
    .option('--flavor <flavor>', 'what has this one')
    .option('--newer-than <version>', 'what has versions above this one, and these')
    .option('--prereleases', 'pre-releases count as newer (default: where --newer-than is one)')
}

/** Options that stand in front of a word belong to it. */
function allOf<T extends OutputOptions>(options: T, command: Command): T {
  return { ...command.optsWithGlobals<T>(), ...options }
}

const SEARCH_EXAMPLES = examples(
  'layerd search nemo',
  'layerd search --kind bundle --registry ghcr.io',
  'layerd search --name nemo --newer-than 1.2.0',
)
const ADD_EXAMPLES = examples(
  'layerd catalog add registry.example',
  "layerd catalog add harbor.example --repository 'team/**'",
  'layerd catalog add ghcr.io --repository team/init --repository team/nemo',
)

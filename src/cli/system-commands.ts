import type { Command } from 'commander'
import type { RunClient } from './client-commands.ts'
import { files, type FilesOptions } from './commands/system/files.ts'
import { collect, examples, wholeNumber, withOutput } from './shapes.ts'

/** The command about packages that lie on the daemon's machine. */
export function addFilesCommand(program: Command, run: RunClient): void {
  const listing = program
    .command('files')
    .description('list the packages in the file roots of the daemon, to publish them')
    .option('-n, --limit <n>', 'how many, at most 20000', wholeNumber(1, 20_000), 200)
    .option('--search <text>', 'in the path, in upper or lower case')
    .option('--root <folder>', 'one of its roots (default: all)')
    .option('--kind <kind>', 'package, init, bundle, split, folder, archive; repeatable', collect)
    .addHelpText('after', FILES_EXAMPLES)
  withOutput(listing).action((options: FilesOptions) => run(options, (context) => files(context, options)))
}

const FILES_EXAMPLES = examples('layerd files --search nemo', 'layerd files --kind archive --json | jq -r .source')

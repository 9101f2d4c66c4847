import type { Command } from 'commander'
import type { RunClient } from './client-commands.ts'
import { files, type FilesOptions } from './commands/system/files.ts'
import type { OutputOptions } from './client/context.ts'
import { pauseQueue, type PauseQueueOptions, queues, resumeQueue } from './commands/system/queues.ts'
import { settings } from './commands/system/settings.ts'
import { stats, type StatsOptions } from './commands/system/stats.ts'
import { system } from './commands/system/system.ts'
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

/** The commands about queues of registries. */
export function addQueueCommands(program: Command, run: RunClient): void {
  const listing = withOutput(
    program.command('queues').description('list the queues of registries: what waits, what runs, and why'),
  )
  listing.action((options: OutputOptions) => run(options, queues))
  const pausing = listing
    .command('pause')
    .description('start no more jobs of a registry; those that run go on')
    .argument('<registry>', 'HOST[:PORT], or local for jobs that go to none')
    .option('--reason <text>', 'told to all whose jobs wait by it')
    .addHelpText('after', PAUSE_EXAMPLES)
  withOutput(pausing).action((place: string, options: PauseQueueOptions, command: Command) =>
    run(allOf(options, command), (context) => pauseQueue(context, place, options)),
  )
  withOutput(listing.command('resume').description('start jobs of a registry again'))
    .argument('<registry>', 'HOST[:PORT], or local')
    .action((place: string, options: OutputOptions, command: Command) =>
      run(allOf(options, command), (context) => resumeQueue(context, place)),
    )
}

/** Options that stand in front of `pause` belong to `queues`. */
function allOf<T extends OutputOptions>(options: T, command: Command): T {
  return { ...command.optsWithGlobals<T>(), ...options }
}

const PAUSE_EXAMPLES = examples("layerd queues pause ghcr.io --reason 'its disk is being replaced'")

const FILES_EXAMPLES = examples('layerd files --search nemo', 'layerd files --kind archive --json | jq -r .source')

/** The command about what jobs did lately. */
export function addStatsCommand(program: Command, run: RunClient): void {
  const telling = program
    .command('stats')
    .description('what jobs moved and how they ended, lately; times are UTC')
    .option('-w, --window <span>', '1m to 60m by minute, 2h to 168h or 7d by hour (default: 1h)')
    .option('--registry <host>', 'of this one alone')
    .option('--kind <kind>', 'publish, pull, copy, verify; repeatable', collect)
    .addHelpText('after', STATS_EXAMPLES)
  withOutput(telling).action((options: StatsOptions) => run(options, (context) => stats(context, options)))
}

const STATS_EXAMPLES = examples('layerd stats -w 7d', 'layerd stats --registry ghcr.io --json | jq .totals')

/** The commands about what all of layerd stands on. */
export function addSystemCommands(program: Command, run: RunClient): void {
  withOutput(
    program.command('system').description('what the store and Redis hold of what they may, and whether they are well'),
  ).action((options: OutputOptions) => run(options, system))
  const listing = program
    .command('settings')
    .description('list the settings in force in the API process, without secrets')
    .option('--set', 'those that are set alone')
    .addHelpText('after', SETTINGS_EXAMPLES)
  withOutput(listing).action((options: OutputOptions & { set?: boolean }) =>
    run(options, (context) => settings(context, options)),
  )
}

const SETTINGS_EXAMPLES = examples('layerd settings --set', "layerd settings --json | jq -r 'select(.value).name'")

import type { Command } from 'commander'
import type { OutputOptions } from './client/context.ts'
import type { RunClient } from './client-commands.ts'
import { drainWorker, type DrainOptions, resumeWorker, workers } from './commands/system/workers.ts'
import { examples, withOutput } from './shapes.ts'

const WORKER_ID = "the worker's id, or as much of its beginning as tells it from others"

/** The commands about the processes that run jobs. */
export function addWorkerCommands(program: Command, run: RunClient): void {
  const listing = withOutput(
    program.command('workers').description('list the processes that run jobs, of all machines'),
  )
  listing.action((options: OutputOptions) => run(options, workers))
  const draining = listing
    .command('drain')
    .description('let a worker take no more jobs, before its machine or pod ends')
    .argument('<id>', WORKER_ID)
    .option('--hand-over', 'give what runs there to others at once')
    .option('--wait', 'until nothing runs there any more')
    .addHelpText('after', DRAIN_EXAMPLES)
  withOutput(draining).action((id: string, options: DrainOptions, command: Command) =>
    run(allOf(options, command), (context) => drainWorker(context, id, options)),
  )
  withOutput(listing.command('resume').description('let a drained worker take jobs again'))
    .argument('<id>', WORKER_ID)
    .action((id: string, options: OutputOptions, command: Command) =>
      run(allOf(options, command), (context) => resumeWorker(context, id)),
    )
}

/** Options that stand in front of `drain` belong to `workers`. */
function allOf<T extends OutputOptions>(options: T, command: Command): T {
  return { ...command.optsWithGlobals<T>(), ...options }
}

const DRAIN_EXAMPLES = examples(
  'layerd workers drain rack-3-1f4-mhrk2x9d --wait',
  'layerd workers drain rack-3-1f4-mhrk2x9d --hand-over',
)

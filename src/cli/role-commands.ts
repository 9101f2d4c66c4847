import { type Command, Option } from 'commander'
import { EXIT_CODES, examples } from './shapes.ts'

/** What the program does beside being a client; each loads its own modules. */
export interface Roles {
  allInOne(): Promise<number>
  serve(options: { supervised: boolean }): Promise<number>
  worker(name: string | undefined): Promise<number>
  storeCheck(options: { repair: boolean; json: boolean }): Promise<number>
}

type Ends = (task: () => Promise<number>) => Promise<void>

const SETTINGS = '\nSettings come from the environment (LAYERD_...): README.md lists them.'

export function addRoles(program: Command, roles: Roles, ends: Ends): void {
  program.commandsGroup('Run it:')
  program
    .command('serve')
    .description('the API alone; workers are started beside it')
    .addHelpText('after', `${SETTINGS}\n${examples('LAYERD_REDIS_URL=redis://redis:6379 layerd serve')}\n${EXIT_CODES}`)
    // For the daemon, which starts its API so.
    .addOption(new Option('--supervised').hideHelp())
    .action((options: { supervised?: boolean }) => ends(() => roles.serve({ supervised: options.supervised === true })))
  program
    .command('worker')
    .description('takes jobs and moves bytes')
    .option('--name <name>', "how it shows up in logs and on jobs (default: the machine's name)")
    .addHelpText(
      'after',
      `${SETTINGS}\n${examples('LAYERD_REDIS_URL=redis://redis:6379 layerd worker --name rack-3')}\n${EXIT_CODES}`,
    )
    .action((options: { name?: string }) => ends(() => roles.worker(options.name)))
  const store = program.command('store').description('work on the content store of the data directory')
  store
    .command('check')
    .description("look for damage in the data directory's store")
    .option('--repair', 'mend it from what is whole, while no daemon works on it')
    .option('--json', 'answer in JSON')
    .addHelpText('after', `${SETTINGS}\n\nExit codes: 0 all is well, 1 damage or failure, 2 wrong use.`)
    .action((options: { repair?: boolean; json?: boolean }) =>
      ends(() => roles.storeCheck({ repair: options.repair === true, json: options.json === true })),
    )
}

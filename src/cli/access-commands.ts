import type { Command } from 'commander'
import type { OutputOptions } from './client/context.ts'
import type { RunClient } from './client-commands.ts'
import { audit, type AuditOptions } from './commands/access/audit.ts'
import { policies, putPolicy, type PutPolicyOptions, removePolicy, showPolicy } from './commands/access/policies.ts'
import { collect, examples, wholeNumber, withOutput } from './shapes.ts'

/** The commands about rules that the daemon keeps. */
export function addPolicyCommands(program: Command, run: RunClient): void {
  const listing = withOutput(
    program.command('policies').description('list what packages have to be signed by, in the order it counts'),
  )
  listing.action((options: OutputOptions) => run(options, policies))
  withOutput(listing.command('show').description('all of a policy; with --json as put takes it'))
    .argument('<name>', 'as layerd policies tells it')
    .action((name: string, options: OutputOptions, command: Command) =>
      run(allOf(options, command), (context) => showPolicy(context, name)),
    )
  const putting = listing
    .command('put')
    .description('keep a policy, for all workers')
    .argument('<name>', 'policies count in the order of their names: 10-public, 20-team')
    .argument('<file>', 'JSON: {"match": [...], "verify": {...}, "kinds": [...]}; - is standard input')
    .option('--replace', 'put it in the place of a policy that is there')
    .addHelpText('after', PUT_EXAMPLES)
  withOutput(putting).action((name: string, file: string, options: PutPolicyOptions, command: Command) =>
    run(allOf(options, command), (context) => putPolicy(context, name, { ...options, file })),
  )
  withOutput(listing.command('rm').description('forget a policy'))
    .argument('<name>', 'as layerd policies tells it')
    .action((name: string, options: OutputOptions, command: Command) =>
      run(allOf(options, command), (context) => removePolicy(context, name)),
    )
}

/** The command about what was asked of the daemon. */
export function addAuditCommand(program: Command, run: RunClient): void {
  const listing = program
    .command('audit')
    .description('list who asked for what, newest first; times are UTC')
    .option('-n, --limit <n>', 'how many, at most 20000', wholeNumber(1, 20_000), 20)
    .option('--principal <name>', 'who asked')
    .option('--action <operation>', 'what for, as openapi.yaml calls it: createJob')
    .option('--outcome <outcome>', 'succeeded, refused, failed; repeatable', collect)
    .option('--since <time>', 'from then on: 30m, 2h, 7d ago, or a time')
    .option('--until <time>', 'until then')
    .addHelpText('after', AUDIT_EXAMPLES)
  withOutput(listing).action((options: AuditOptions) => run(options, (context) => audit(context, options)))
}

/** Options that stand in front of `put` belong to `policies`. */
function allOf<T extends OutputOptions>(options: T, command: Command): T {
  return { ...command.optsWithGlobals<T>(), ...options }
}

const PUT_EXAMPLES = examples(
  `echo '{"match": ["ghcr.io/team/**"], "verify": {"keyRef": "release"}}' |`,
  '  layerd policies put 20-team -',
  'layerd policies show 20-team --json > rule.json   # change it, then',
  'layerd policies put 20-team rule.json',
)
const AUDIT_EXAMPLES = examples(
  'layerd audit --outcome refused --since 24h',
  'layerd audit --principal ci --action createJob --json | jq .target',
)

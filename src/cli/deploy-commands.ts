import type { Command } from 'commander'
import type { OutputOptions } from './client/context.ts'
import type { RunClient } from './client-commands.ts'
import { deploy, type DeployOptions } from './commands/deploys/deploy.ts'
import { collect, examples, withJob, withOutput, withVerify } from './shapes.ts'

/** The commands that put packages into clusters, and take them out. */
export function addDeployCommands(program: Command, run: RunClient): void {
  for (const [kind, description] of [
    ['deploy', 'deploy a package: the daemon runs zarf with it'],
    ['remove', 'remove a package that was deployed: the daemon runs zarf with it'],
  ] as const) {
    const running = program
      .command(kind)
      .description(description)
      .argument('<package>', 'oci://REGISTRY/REPOSITORY:TAG, the sha256:DIGEST of a stored one, or a file')
      .option('-s, --set <name=value>', "a value for one of the package's variables; repeatable", collect)
      .option('--sensitive-stdin', 'read more of them from standard input, a line each, that nobody is to see')
      .option('--components <a,b>', 'these, as with zarf; -name takes away')
      .option('--timeout <duration>', 'end it after so long: 90s to 24h (default: 1h)')
      .option('-a, --architecture <arch>', "which of the tag's packages (default: the daemon's own)")
    if (kind === 'deploy') {
      running
        .option('--adopt', 'take over what is in the cluster already')
        .option('--step-timeout <duration>', "how long one step of Helm may take (default: zarf's 15m)")
        .addHelpText('after', DEPLOY_EXAMPLES)
    }
    withOutput(withVerify(withJob(running))).action((what: string, options: OutputOptions & DeployOptions) =>
      run(options, (context) => deploy(context, what, { ...options, kind })),
    )
  }
}

const DEPLOY_EXAMPLES = examples(
  'layerd deploy oci://ghcr.io/team/nemo:1.2.0 --set DOMAIN=example.org',
  'layerd deploy nemo.tar.zst --sensitive-stdin < passwords.txt',
)

import type { Command } from 'commander'
import type { RunClient } from './client-commands.ts'
import { link, type LinkOptions } from './commands/access/link.ts'
import { examples, withOutput } from './shapes.ts'

/** The command that makes an address which needs no token. */
export function addLink(program: Command, run: RunClient): void {
  const linking = program
    .command('link')
    .description("print an address of a stored package's archive that needs no token")
    .argument('<digest>', 'sha256:..., as layerd packages tells it')
    .option('--expires <duration>', '60s to 1h (default: 10m)')
    .option('--components <a,b>', 'only these, as with pull')
    .option('--images <a,b>', 'only these images, as with pull')
    .option('--metadata-only', 'only what describes the package and vouches for it')
    .addHelpText('after', LINK_EXAMPLES)
  withOutput(linking).action((digest: string, options: LinkOptions) =>
    run(options, (context) => link(context, digest, options)),
  )
}

const LINK_EXAMPLES = examples('curl -OJ "$(layerd link sha256:1f0e...)"', 'layerd link sha256:1f0e... --expires 1h')

import type { Command } from 'commander'
import type { RunClient } from './client-commands.ts'
import type { OutputOptions } from './client/context.ts'
import { attach, push, type PushOptions } from './commands/artifacts/push.ts'
import { collect, examples, withDryRun, withJob, withOutput } from './shapes.ts'

/** The commands about what is no package: files, SBOMs, attestations. */
export function addArtifactCommands(program: Command, run: RunClient): void {
  const pushing = program
    .command('push')
    .description('publish files as an artifact, as oras does')
    .argument('<reference>', 'oci://REGISTRY/REPOSITORY:TAG')
    .argument('[file...]', 'FILE or FILE:MEDIA/TYPE; its path below here is its title')
    .option('--artifact-type <type>', 'what kind of artifact it is, a media type')
    .option('--config <file>', 'FILE or FILE:MEDIA/TYPE (default: an empty one)')
    .addHelpText('after', PUSH_EXAMPLES)
  const attaching = program
    .command('attach')
    .description('publish files that refer to what lies there: SBOMs, signatures, attestations')
    .argument('<reference>', 'oci://REGISTRY/REPOSITORY:TAG or @DIGEST')
    .argument('<file...>', 'FILE or FILE:MEDIA/TYPE; its path below here is its title')
    .requiredOption('--artifact-type <type>', 'what kind of artifact it is, a media type')
    .addHelpText('after', ATTACH_EXAMPLES)
  for (const [command, task] of [
    [pushing, push],
    [attaching, attach],
  ] as const) {
    command.option('--annotation <key=value>', 'of the manifest; repeatable', collect)
    withOutput(withJob(withDryRun(command))).action(
      (reference: string, files: string[], options: OutputOptions & PushOptions) =>
        run(options, (context) => task(context, reference, files, options)),
    )
  }
}

const PUSH_EXAMPLES = examples(
  'layerd push oci://ghcr.io/team/notes:1 notes.txt:text/plain logo.png',
  'layerd push oci://ghcr.io/team/model:3 weights.bin --artifact-type a/model',
)
const ATTACH_EXAMPLES = examples('layerd attach oci://ghcr.io/a/nemo:1.2.0 sbom.json --artifact-type text/spdx')

import type { Command } from 'commander'
import type { RunClient } from './client-commands.ts'
import type { OutputOptions } from './client/context.ts'
import { mirror, type MirrorOptions } from './commands/artifacts/mirror.ts'
import { examples, withDryRun, withJob, withOutput, withVerify } from './shapes.ts'

/** The command about the images of a package. */
export function addMirrorCommand(program: Command, run: RunClient): void {
  const mirroring = program
    .command('mirror')
    .description('put the container images of a package into a registry, as zarf names them there')
    .argument('<package>', 'oci://REGISTRY/REPOSITORY:TAG, the sha256:DIGEST of a stored one, or a file')
    .argument('<destination>', "oci://REGISTRY[/NAMESPACE]; each image's own path follows")
    .option('-a, --architecture <arch>', "which of the tag's packages (default: the daemon's own)")
    .option('--components <a,b>', 'images of these alone; * ? [a-c], -name takes away')
    .option('--images <a,b>', 'only these images')
    .option('--no-checksum', "leave out the tags with zarf's checksum, which its agent asks for in a cluster")
    .addHelpText('after', MIRROR_EXAMPLES)
  withOutput(withVerify(withJob(withDryRun(mirroring)))).action(
    (what: string, destination: string, options: OutputOptions & MirrorOptions) =>
      run(options, (context) => mirror(context, what, destination, options)),
  )
}

const MIRROR_EXAMPLES = examples(
  'layerd mirror oci://ghcr.io/team/nemo:1.2.0 oci://registry.example/images',
  'layerd mirror zarf-package-nemo-amd64-1.2.0.tar.zst oci://127.0.0.1:31999',
)

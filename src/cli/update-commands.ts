import type { Command } from 'commander'
import { apply, type ApplyOptions } from './commands/updates/apply.ts'
import { diff } from './commands/updates/diff.ts'
import { download, type DownloadOptions } from './commands/updates/download.ts'
import type { OutputOptions } from './client/context.ts'
import type { RunClient } from './client-commands.ts'
import { examples, withOutput, withTrace, withVerify } from './shapes.ts'

const DIGEST = 'sha256:..., as layerd packages tells it'

/** What carries packages, and updates of them, where no registry can be reached. */
export function addUpdateCommands(program: Command, run: RunClient): void {
  const saving = program
    .command('download')
    .description('save the archive of a stored package, or what of it another one lacks')
    .argument('<digest>', DIGEST)
    .option('--since <digest>', 'only what this older one lacks, for layerd apply where that one is stored')
    .option('-o, --output <folder>', 'where to save it (default: here)')
    .option('--overwrite', 'replace a file that exists')
    .addHelpText('after', DOWNLOAD_EXAMPLES)
  withOutput(saving).action((digest: string, options: OutputOptions & DownloadOptions) =>
    run(options, (context) => download(context, digest, options)),
  )
  const comparing = program
    .command('diff')
    .description('compare two stored packages: images, software, files, bytes to move')
    .argument('<older>', DIGEST)
    .argument('<newer>', DIGEST)
    .addHelpText('after', DIFF_EXAMPLES)
  withOutput(comparing).action((older: string, newer: string, options: OutputOptions) =>
    run(options, (context) => diff(context, older, newer)),
  )
  const applying = program
    .command('apply')
    .description('make a newer package of a stored one and an update')
    .argument('<update>', 'a layerd-update-....tar.zst, or https://...')
    .option('--sha256 <hex>', 'of the whole file, which an https:// address needs')
    .addHelpText('after', APPLY_EXAMPLES)
  withOutput(withVerify(withTrace(applying))).action((update: string, options: OutputOptions & ApplyOptions) =>
    run(options, (context) => apply(context, update, options)),
  )
}

const DOWNLOAD_EXAMPLES = examples(
  'layerd download sha256:1f0e... -o /media/usb',
  'layerd download sha256:9c4b... --since sha256:1f0e...',
)
const DIFF_EXAMPLES = examples('layerd diff sha256:1f0e... sha256:9c4b...')
const APPLY_EXAMPLES = examples(
  'layerd apply layerd-update-nemo-amd64-1.2.0-1.3.0.tar.zst',
  'layerd apply layerd-update-nemo-amd64-1.2.0-1.3.0.tar.zst --key k.pub',
)

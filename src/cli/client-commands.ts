import type { Command } from 'commander'
import { command, logs, type LogsOptions, queueAgain, runs, show, watch } from './commands/job.ts'
import { jobs, type JobsOptions } from './commands/jobs.ts'
import { bundle, type BundleOptions } from './commands/bundle.ts'
import { inspect, INSPECTED_PARTS, type InspectOptions } from './commands/inspect/inspect.ts'
import { packages, tags } from './commands/packages.ts'
import { copy, type CopyOptions } from './commands/copy.ts'
import { publish, type PublishOptions } from './commands/publish.ts'
import { pull, type PullOptions } from './commands/pull.ts'
import { referrers, type ReferrersOptions } from './commands/referrers.ts'
import { remove } from './commands/remove.ts'
import { trace, type TraceOptions } from './commands/trace.ts'
import { uploads } from './commands/uploads.ts'
import { verify, type VerifyCommandOptions } from './commands/verify.ts'
import type { CommandContext, OutputOptions, RegistryOptions } from './client/context.ts'
import { addAuditCommand, addPolicyCommands } from './access-commands.ts'
import { addArtifactCommands } from './artifact-commands.ts'
import { addCatalogCommands } from './catalog-commands.ts'
import { addDeletionCommands } from './deletion-commands.ts'
import { addDeployCommands } from './deploy-commands.ts'
import { addLink } from './link-command.ts'
import { addKeyCommands } from './key-commands.ts'
import { addRegistryCommands } from './registry-commands.ts'
import { addFilesCommand, addQueueCommands, addStatsCommand, addSystemCommands } from './system-commands.ts'
import { addTokenCommands } from './token-commands.ts'
import { addUpdateCommands } from './update-commands.ts'
import { addWorkerCommands } from './worker-commands.ts'
import {
  argumentOf,
  collect,
  examples,
  manifestOption,
  wholeNumber,
  withDryRun,
  withJob,
  withTrace,
  withSign,
  withVerify,
  withLogin,
  withOutput,
  withRegistry,
} from './shapes.ts'
import { addMirrorCommand } from './mirror-command.ts'
import type { ExitCode } from './client/terminal.ts'

/** Runs a command with the options all of them have. */
export type RunClient = (chosen: OutputOptions, task: (context: CommandContext) => Promise<ExitCode>) => Promise<void>

const JOB_ID = "the job's id, or as much of its beginning as tells it from others"
const STATES = ['queued', 'scheduled', 'running', 'retrying', 'paused', 'canceling', 'canceled', 'succeeded', 'failed']

/** The commands that call a running daemon, as anybody could by its API. */
export function addClientCommands(program: Command, run: RunClient): void {
  program.commandsGroup('Move packages:')
  addTransfers(program, run)
  addUpdateCommands(program, run)
  addDeployCommands(program, run)
  program.commandsGroup('Move other artifacts:')
  addArtifactCommands(program, run)
  addMirrorCommand(program, run)
  addDeletionCommands(program, run)
  program.commandsGroup('Look at jobs, and steer them:')
  addJobViews(program, run)
  addJobWords(program, run)
  addQueueCommands(program, run)
  program.commandsGroup('Look at packages:')
  addPackageViews(program, run)
  addCatalogCommands(program, run)
  program.commandsGroup('Registries:')
  addRegistryCommands(program, run)
  program.commandsGroup('Keys:')
  addKeyCommands(program, run)
  program.commandsGroup('Access:')
  addTokenCommands(program, run)
  addPolicyCommands(program, run)
  addAuditCommand(program, run)
  program.commandsGroup('System:')
  addWorkerCommands(program, run)
  addStatsCommand(program, run)
  addSystemCommands(program, run)
}

function addTransfers(program: Command, run: RunClient): void {
  const sending = program
    .command('publish')
    .description('publish a package, a UDS bundle or a Helm chart')
    .argument(
      '<package>',
      'a .tar.zst or .tar file, part000 of a split one, an unpacked folder, sha256:... of a stored package, or https://...; a chart is a .tgz',
    )
    .argument('<destination>', 'oci://REGISTRY[/NAMESPACE]; name and version of the package follow')
    .option('-t, --tag <tag>', "in place of the package's version")
    .option('--name <name>', "the package's name, where the file's name does not tell it")
    .option('--sha256 <hex>', 'of the whole archive, which an https:// address needs')
    .option('--scan', 'read the archive once before sending, so that all sizes are known')
    .addOption(manifestOption())
    .option('--artifact-type <type>', 'what kind of artifact the manifest calls itself, a media type')
    .option('--subject <tag|digest>', 'what it is to refer to, in the repository that it goes to')
    .addHelpText('after', PUBLISH_EXAMPLES)
  withOutput(withVerify(withSign(withJob(withDryRun(sending))))).action(
    (path: string, destination: string, options: OutputOptions & PublishOptions) =>
      run(options, (context) => publish(context, path, destination, options)),
  )
  const copying = program
    .command('copy')
    .description('copy a package, bundle or image from one registry to another')
    .argument('<reference>', 'oci://REGISTRY/REPOSITORY:TAG or @DIGEST')
    .argument('<destination>', "oci://REGISTRY[/NAMESPACE]; the last part of the source's repository follows")
    .option('-t, --tag <tag>', "in place of the source's")
    .option('-a, --architecture <arch>', 'of an index, only this one; repeatable (default: all)', collect)
    .option('--tags <pattern>', 'of a repository, all tags that match and are not there yet; repeatable', collect)
    .addHelpText('after', COPY_EXAMPLES)
  withOutput(withVerify(withSign(withJob(withDryRun(copying))))).action(
    (source: string, destination: string, options: OutputOptions & CopyOptions) =>
      run(options, (context) => copy(context, source, destination, options)),
  )
  const fetching = program
    .command('pull')
    .description('pull a package or a UDS bundle and save its archive')
    .argument('<reference>', 'oci://REGISTRY/REPOSITORY:TAG')
    .option('-o, --output <folder>', 'where to save it (default: here)')
    .option('--store', "keep it in the daemon's store, and save nothing")
    .option('-a, --architecture <arch>', "which of the tag's packages (default: the daemon's own)")
    .option('--components <a,b>', 'only these and what is required; * ? [a-c], -name takes away')
    .option('--images <a,b>', 'only these images; with --components, of theirs: "" for none')
    .option('--metadata-only', 'only what describes the package and vouches for it')
    .option('--overwrite', 'replace a file that exists')
    .option('--files', 'of whatever lies there each layer as a file, into a folder that the daemon may write to')
    .addHelpText('after', PULL_EXAMPLES)
  withOutput(withVerify(withJob(withDryRun(fetching)))).action(
    (reference: string, options: OutputOptions & PullOptions) =>
      run(options, (context) => pull(context, reference, options)),
  )
}

const PUBLISH_EXAMPLES = examples(
  'layerd publish zarf-package-nemo-amd64-1.2.0.tar.zst oci://ghcr.io/team',
  'layerd publish -d --label env=dev package.tar oci://127.0.0.1:5000',
  'layerd publish nemo.tar.zst oci://ghcr.io/team --sign release',
  'layerd publish --dry-run package.tar oci://ghcr.io/team',
  'layerd publish podinfo-6.4.0.tgz oci://ghcr.io/team/charts',
)
const COPY_EXAMPLES = examples(
  'layerd copy oci://ghcr.io/team/nemo:1.2.0 oci://registry.example/mirror',
  'layerd copy oci://r.example/a/nemo:1.2.0 oci://r.example/b -a amd64 -t stable',
  "layerd copy oci://r.example/a/nemo oci://other.example/b --tags '1.*'",
)
const PULL_EXAMPLES = examples(
  'layerd pull oci://ghcr.io/team/nemo:1.2.0 -o packages',
  'layerd pull oci://ghcr.io/team/nemo:1.2.0 -a arm64 --store',
  'layerd pull --files oci://ghcr.io/team/notes:1 -o /packages/notes',
)

const INSPECT_EXAMPLES = examples(
  'layerd inspect oci://ghcr.io/team/nemo:1.2.0',
  'layerd inspect oci://ghcr.io/team/nemo:1.2.0 sbom -o sboms',
  'layerd inspect nemo.tar.zst manifests --components web | kubectl diff -f -',
)
const VERIFY_EXAMPLES = examples(
  'layerd verify oci://ghcr.io/team/nemo:1.2.0 --key cosign.pub',
  'layerd verify nemo.tar.zst --identity ci@i.example --issuer https://i.example',
)

function addJobViews(program: Command, run: RunClient): void {
  const listing = program
    .command('jobs')
    .description('list jobs, newest first')
    .option('-n, --limit <n>', 'how many, at most 200', wholeNumber(1, 200), 20)
    .option('-f, --follow', 'show what happens to them, until Ctrl-C')
    .option('--state <state>', `${STATES.join(', ')}; repeatable`, collect)
    .option(
      '--kind <kind>',
      'publish, pull, copy, verify, apply, delete, retention, deploy, remove; repeatable',
      collect,
    )
    .option('--registry <host>', 'that the job talks to')
    .option('--label <key=value>', 'repeatable, all of them', collect)
    .option('--since <time>', 'made after it: 30m, 2h, 7d, or a time')
    .option('--package <name>', 'that the job is about')
    .option('--search <text>', 'in id, source, destination, package, result, labels or principal')
    .addHelpText('after', JOBS_EXAMPLES)
  withOutput(listing).action((options: OutputOptions & JobsOptions) =>
    run(options, (context) => jobs(context, options)),
  )
  withOutput(program.command('show').description('all there is to know of a job, on one page'))
    .argument('<job>', JOB_ID)
    .action((id: string, options: OutputOptions) => run(options, (context) => show(context, id)))
  withOutput(program.command('runs').description('where and when a job ran, and why each run began and ended'))
    .argument('<job>', JOB_ID)
    .action((id: string, options: OutputOptions) => run(options, (context) => runs(context, id)))
  withOutput(program.command('watch').description('follow a job until it ends'))
    .argument('[job]', `${JOB_ID}; default: the newest job`)
    .action((id: string | undefined, options: OutputOptions) => run(options, (context) => watch(context, id)))
  const telling = program
    .command('logs')
    .description('what became of a job, in words')
    .argument('<job>', JOB_ID)
    .option('-f, --follow', 'go on until the job has ended')
    .option('--since <time>', 'from then on: 30m, 2h, or a time')
    .option('--level <level>', 'debug, info, warn or error, and what is worse')
  withOutput(telling).action((id: string, options: OutputOptions & LogsOptions) =>
    run(options, (context) => logs(context, id, options)),
  )
  const wire = program
    .command('trace')
    .description('the requests that a job made to its registry')
    .argument('<job>', `${JOB_ID}; one made with --trace, or one that failed`)
    .option('--har', "print them as HAR 1.2, for a browser's network view")
    .option('-o, --output <file>', 'save them as HAR 1.2')
    .addHelpText('after', TRACE_EXAMPLES)
  withOutput(wire).action((id: string, options: OutputOptions & TraceOptions) =>
    run(options, (context) => trace(context, id, options)),
  )
}

const TRACE_EXAMPLES = examples('layerd trace 01a22857', 'layerd trace 01a22857 -o failed.har')
const JOBS_EXAMPLES = examples(
  'layerd jobs --state failed --since 24h',
  'layerd jobs --registry ghcr.io --json | jq .id',
  'layerd jobs --follow --state running --state queued',
)

function addJobWords(program: Command, run: RunClient): void {
  for (const [verb, description] of [
    ['cancel', 'end a job; whole layers stay in the registry'],
    ['pause', 'let a job rest; it keeps what it has moved'],
  ] as const) {
    withOutput(program.command(verb).description(description).option('--reason <text>', 'kept with the job'))
      .argument('<job>', JOB_ID)
      .action((id: string, options: OutputOptions & { reason?: string }) =>
        run(options, (context) => command(context, id, { verb, ...options })),
      )
  }
  for (const [verb, description] of [
    ['resume', 'go on with a paused job'],
    ['retry', 'run a failed or canceled job again; it skips what is there'],
  ] as const) {
    withOutput(withLogin(program.command(verb).description(description)))
      .argument('<job>', JOB_ID)
      .action((id: string, options: OutputOptions & RegistryOptions) =>
        run(options, (context) => queueAgain(context, id, { verb, options })),
      )
  }
  withOutput(program.command('rm').description('forget ended jobs, stored packages or uploads'))
    .argument('<id...>', 'of jobs and uploads; of packages their digest, sha256:...')
    .action((ids: string[], options: OutputOptions) => run(options, (context) => remove(context, ids)))
}

function addPackageViews(program: Command, run: RunClient): void {
  const looking = program
    .command('inspect')
    .description('show what a package holds, in its registry, in the store or in a file')
    .argument('<package>', 'oci://REGISTRY/REPOSITORY[:TAG], the sha256:DIGEST of a stored one, or a file')
    .addArgument(argumentOf('[part]', 'what of it (default: an overview)').choices(INSPECTED_PARTS))
    .argument('[name]', 'one file: of sbom and docs as it is listed, else COMPONENT/FILE')
    .option('-a, --architecture <arch>', "which of the tag's packages (default: the daemon's own)")
    .option('--components <a,b>', 'manifests and values of these; * ? [a-c], -name leaves out')
    .option('-o, --output <file>', 'save it there; of sbom and docs without a name all, in a folder')
    .addHelpText('after', INSPECT_EXAMPLES)
  withOutput(withRegistry(looking)).action(
    (what: string, part: string | undefined, name: string | undefined, options: InspectOptions & OutputOptions) =>
      run(options, (context) => inspect(context, what, { ...options, part, name })),
  )
  const bundles = program
    .command('bundle')
    .description('show what a UDS bundle is of: packages, overrides, variables')
    .argument('<bundle>', 'oci://REGISTRY/REPOSITORY:TAG, the sha256:DIGEST of a stored one, or a file')
    .option('-a, --architecture <arch>', "which of the tag's bundles (default: the daemon's own)")
    .option('-i, --images', 'list the images of what it has, and nothing else')
  withOutput(withRegistry(bundles)).action((what: string, options: BundleOptions & OutputOptions) =>
    run(options, (context) => bundle(context, what, options)),
  )
  withOutput(withRegistry(program.command('tags').description('list the tags of a repository')))
    .argument('<reference>', 'oci://REGISTRY/REPOSITORY')
    .action((reference: string, options: OutputOptions & RegistryOptions) =>
      run(options, (context) => tags(context, reference, options)),
    )
  const relating = program
    .command('referrers')
    .description('list what refers to a manifest: signatures, attestations')
    .argument('<reference>', 'oci://REGISTRY/REPOSITORY:TAG or @DIGEST')
    .option('-a, --architecture <arch>', "to the tag's package for it (default: to what lies under the tag)")
    .option('--artifact-type <type>', 'those of this type alone')
  withOutput(withRegistry(relating)).action((reference: string, options: ReferrersOptions & OutputOptions) =>
    run(options, (context) => referrers(context, reference, options)),
  )
  const verifying = program
    .command('verify')
    .description('check the checksums and the signature of a package')
    .argument('<package>', 'oci://REGISTRY/REPOSITORY:TAG, the sha256:DIGEST of a stored one, or a file')
    .option('-a, --architecture <arch>', "which of the tag's packages (default: the daemon's own)")
    .addHelpText('after', VERIFY_EXAMPLES)
  withOutput(withVerify(withTrace(withRegistry(verifying)))).action(
    (what: string, options: OutputOptions & VerifyCommandOptions) =>
      run(options, (context) => verify(context, what, options)),
  )
  withOutput(program.command('packages').description('list the packages in the content store')).action(
    (options: OutputOptions) => run(options, packages),
  )
  addLink(program, run)
  addFilesCommand(program, run)
  withOutput(
    program.command('uploads').description('list the packages sent to the daemon that wait to be used'),
  ).action((options: OutputOptions) => run(options, uploads))
}

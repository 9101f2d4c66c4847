import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { listedNames } from '../../lib/text.ts'
import type { Job } from '../client/contract.ts'
import { type CommandContext, UsageError } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { endText } from '../view/texts.ts'
import { registryAuth } from './registry-auth.ts'
import { checkFolder, saveArchive } from './save.ts'
import { type VerifyChoices, verifyOption, type VerifyOption } from '../client/verify-option.ts'
import { type DryRunOptions, dryRunOption, jobOptions, labels, settle, submit, type SubmitOptions } from './submit.ts'

export interface PullOptions extends SubmitOptions, DryRunOptions, VerifyChoices {
  output?: string
  store?: boolean
  architecture?: string
  components?: string
  images?: string
  metadataOnly?: boolean
  overwrite?: boolean
  files?: boolean
}

/** `layerd pull REFERENCE`: into the store, then the archive to a folder of this machine. */
export async function pull(context: CommandContext, source: string, options: PullOptions): Promise<ExitCode> {
  if (options.files) return await pullFiles(context, source, options)
  const { terminal } = context
  const detach = options.detach === true
  const headers = await registryAuth(context, source, options)
  const folder = resolve(terminal.cwd, options.output ?? '.')
  const saves = options.store !== true && !detach && options.dryRun !== true
  if (saves) await checkFolder(context, folder, { reference: source, headers, options })
  const willSave = (ended: Job, exit: ExitCode) => saves && exit === 0 && ended.result?.archive !== undefined
  const request = pullRequest(source, options, { transient: saves, verify: await verifyOption(context, options) })
  const { job, exit } = await settle(context, await submit(context, request, headers), {
    detach,
    quietResult: !saves,
    ending: (ended, exitCode) => (willSave(ended, exitCode) ? 'pulled into the store, saving' : endText(ended)),
  })
  if (!job || !willSave(job, exit)) return exit
  await save(context, job, folder, options)
  return exit
}

/** `layerd pull --files`: the daemon writes them into the folder itself. */
async function pullFiles(context: CommandContext, source: string, options: PullOptions): Promise<ExitCode> {
  const { architecture, overwrite, components, images, metadataOnly, store } = options
  if (store || components !== undefined || images !== undefined || metadataOnly) {
    throw new UsageError('--files pulls all files into a folder: neither --store nor a choice goes with it')
  }
  const folder = resolve(context.terminal.cwd, options.output ?? '.')
  const request = {
    kind: 'pull' as const,
    source,
    destination: `${pathToFileURL(folder).href}/`,
    options: {
      form: 'files' as const,
      ...(architecture === undefined ? {} : { architecture }),
      ...(overwrite ? { overwrite } : {}),
      ...(await verifyOption(context, options)),
      ...dryRunOption(options),
      ...jobOptions(options),
    },
    ...labels(options),
  }
  const headers = await registryAuth(context, source, options)
  const job = await submit(context, request, headers)
  return (await settle(context, job, { detach: options.detach === true, quietResult: true })).exit
}

function pullRequest(
  source: string,
  options: PullOptions,
  { transient, verify }: { transient: boolean; verify: VerifyOption },
) {
  const { architecture, components, images, metadataOnly } = options
  return {
    kind: 'pull' as const,
    source,
    options: {
      ...(architecture === undefined ? {} : { architecture }),
      ...(components === undefined ? {} : { components: listedNames(components) }),
      ...(images === undefined ? {} : { images: listedNames(images) }),
      ...(metadataOnly ? { metadataOnly } : {}),
      // What is here for the file alone goes with it; the daemon knows when.
      ...(transient ? { transient } : {}),
      ...verify,
      ...dryRunOption(options),
      ...jobOptions(options),
    },
    ...labels(options),
  }
}

async function save(context: CommandContext, job: Job, folder: string, options: PullOptions): Promise<void> {
  const { terminal, json, quiet } = context
  const { components, images, metadataOnly, overwrite = false } = options
  const archive = new URL(job.result?.archive ?? '', 'http://layerd')
  if (components !== undefined) archive.searchParams.set('components', components)
  if (images !== undefined) archive.searchParams.set('images', images)
  if (metadataOnly) archive.searchParams.set('metadataOnly', 'true')
  const path = await saveArchive(context, `${archive.pathname}${archive.search}`, { folder, overwrite })
  if (!json && !quiet) terminal.stderr.write(`${endText(job)}\n`)
  terminal.stdout.write(json ? `${JSON.stringify({ type: 'saved', path })}\n` : `${path}\n`)
}

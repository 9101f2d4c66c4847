import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Job, Problem } from '../http/schemas/types.ts'
import { ERROR_CODES } from '../lib/errors.ts'
import { flag, type Invocation, textOption, textOptions, UsageError } from './arguments.ts'
import { byteProgress } from './byte-progress.ts'
import { ApiProblem } from './client.ts'
import { type CommandContext, interruptible } from './context.ts'
import { registryAuth } from './registry-auth.ts'
import { endText } from './texts.ts'
import { checkFolder, saveArchive } from './save.ts'
import type { ExitCode } from './terminal.ts'
import { watchJob } from './watch.ts'

/** `layerd publish PACKAGE REFERENCE`: by path where the daemon can read it, else by upload. */
export async function publish(context: CommandContext): Promise<ExitCode> {
  const { invocation } = context
  const [packagePath = '', destination = ''] = invocation.positionals
  const path = resolve(context.terminal.cwd, packagePath)
  const body = {
    kind: 'publish',
    destination,
    options: {
      ...(textOption(invocation, 'tag') === undefined ? {} : { tag: textOption(invocation, 'tag') }),
      ...(textOption(invocation, 'name') === undefined ? {} : { name: textOption(invocation, 'name') }),
      ...(flag(invocation, 'scan') ? { scan: true } : {}),
      ...jobOptions(invocation),
    },
    ...labels(invocation),
  }
  const headers = await registryAuth(context, destination)
  let uploaded: string | undefined
  const job = await submit(context, { ...body, source: pathToFileURL(path).href }, headers).catch(
    async (error: unknown) => {
      if (!needsUpload(error)) throw error
      uploaded = (await upload(context, path, error)).id
      return submit(context, { ...body, source: `upload:${uploaded}` }, headers)
    },
  )
  const settled = await settle(context, job, { quietResult: true })
  // One that failed can be run again with it; one that is left behind goes after 24 h.
  if (uploaded !== undefined && settled.job?.state === 'succeeded') await forget(context, uploaded)
  return settled.exit
}

/** What cannot be deleted (a daemon that is gone, a token that may not) goes by itself: no reason to fail. */
async function forget({ client }: CommandContext, upload: string): Promise<void> {
  await client.json('DELETE', `/v1/uploads/${upload}`).catch(() => undefined)
}

/** `layerd pull REFERENCE`: into the store, then the archive to a folder of this machine. */
export async function pull(context: CommandContext): Promise<ExitCode> {
  const { invocation, terminal } = context
  const [source = ''] = invocation.positionals
  const headers = await registryAuth(context, source)
  const folder = resolve(terminal.cwd, textOption(invocation, 'output') ?? '.')
  const saves = !flag(invocation, 'store') && !flag(invocation, 'detach')
  if (saves) await checkFolder(context, folder, { reference: source, headers })
  const willSave = (ended: Job, exit: ExitCode) => saves && exit === 0 && ended.result?.archive !== undefined
  const { job, exit } = await settle(context, await submit(context, pullRequest(invocation, source), headers), {
    quietResult: !saves,
    ending: (ended, exitCode) => (willSave(ended, exitCode) ? 'pulled into the store, saving' : endText(ended)),
  })
  if (!job || !willSave(job, exit)) return exit
  await save(context, job, folder)
  return exit
}

function pullRequest(invocation: Invocation, source: string) {
  const components = textOption(invocation, 'components')
  const architecture = textOption(invocation, 'architecture')
  return {
    kind: 'pull',
    source,
    options: {
      ...(architecture === undefined ? {} : { architecture }),
      ...(components === undefined ? {} : { components: components.split(',').map((name) => name.trim()) }),
      ...jobOptions(invocation),
    },
    ...labels(invocation),
  }
}

async function save(context: CommandContext, job: Job, folder: string): Promise<void> {
  const { invocation, terminal } = context
  const components = textOption(invocation, 'components')
  const query = components === undefined ? '' : `?components=${encodeURIComponent(components)}`
  const path = await saveArchive(context, `${job.result?.archive}${query}`, folder)
  const json = flag(invocation, 'json')
  if (!json && !flag(invocation, 'quiet')) terminal.stderr.write(`${endText(job)}\n`)
  terminal.stdout.write(json ? `${JSON.stringify({ type: 'saved', path })}\n` : `${path}\n`)
}

async function submit(context: CommandContext, body: unknown, headers: Record<string, string>): Promise<Job> {
  return context.client.json<Job>('POST', '/v1/jobs', { body, headers })
}

async function settle(
  { invocation, client, terminal }: CommandContext,
  job: Job,
  { quietResult, ending = endText }: { quietResult: boolean; ending?: (job: Job, exit: ExitCode) => string },
): Promise<{ job: Job | undefined; exit: ExitCode }> {
  const json = flag(invocation, 'json')
  const quiet = flag(invocation, 'quiet')
  if (flag(invocation, 'detach')) {
    terminal.stdout.write(json ? `${JSON.stringify(job)}\n` : `${job.id}\n`)
    return { job, exit: 0 }
  }
  if (!json && !quiet) terminal.stderr.write(`job ${job.id}\n`)
  const watched = await watchJob(job.id, client, terminal, { json, quiet, ending })
  if (quiet && watched.job) {
    if (watched.exit !== 0) terminal.stderr.write(`${endText(watched.job)}\n`)
    else if (quietResult) terminal.stdout.write(`${watched.job.result?.digest ?? ''}\n`)
  }
  return watched
}

/** What a daemon says of a path that it can't read, and this machine perhaps can. */
const UPLOADABLE: ReadonlySet<string> = new Set(['PACKAGE_OUTSIDE_ROOTS', 'PACKAGE_NOT_FOUND', 'PACKAGE_UNREADABLE'])

function needsUpload(error: unknown): error is ApiProblem {
  return error instanceof ApiProblem && UPLOADABLE.has(error.problem.code)
}

async function upload(context: CommandContext, path: string, refusal: ApiProblem): Promise<{ id: string }> {
  const { client, terminal, invocation } = context
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new ApiProblem(nowhere(refusal.problem, path, error.code))
  })
  if (found.isDirectory()) {
    throw new ApiProblem({
      ...refusal.problem,
      hint: 'The daemon cannot read this folder. Put it under one of its LAYERD_FILE_ROOTS, or publish the package as an archive.',
    })
  }
  const silent = flag(invocation, 'quiet') || flag(invocation, 'json')
  if (!silent) terminal.stderr.write(`the daemon cannot read ${path}: uploading it\n`)
  return interruptible(context, 'Not uploaded, and no job was made.', async () => {
    using progress = byteProgress(terminal, { verb: 'uploading', silent })
    return await client.upload(path, progress.update)
  })
}

/** A path that is missing here is most likely misspelt, whatever the daemon says of it. */
function nowhere(refused: Problem, path: string, code: string | undefined): Problem {
  const { errors: _said, ...rest } = refused
  const daemon =
    refused.code === 'PACKAGE_OUTSIDE_ROOTS' ? 'the daemon may not look there' : `the daemon says: ${refused.detail}`
  if (code !== 'ENOENT' && code !== 'ENOTDIR') {
    return { ...rest, detail: `${path} cannot be read here (${code}), and ${daemon}` }
  }
  return {
    ...rest,
    type: '/docs/errors#PACKAGE_NOT_FOUND',
    code: 'PACKAGE_NOT_FOUND',
    title: ERROR_CODES.PACKAGE_NOT_FOUND.title,
    status: ERROR_CODES.PACKAGE_NOT_FOUND.status,
    detail: `there is no ${path} on this machine, and ${daemon}`,
    hint: 'Check the spelling of the path.',
  }
}

function jobOptions(invocation: Invocation): Record<string, unknown> {
  const concurrency = textOption(invocation, 'concurrency')
  if (concurrency !== undefined && !/^[0-9]+$/.test(concurrency))
    throw new UsageError('--concurrency takes a whole number')
  return {
    ...(concurrency === undefined ? {} : { concurrency: Number(concurrency) }),
    ...(flag(invocation, 'plain-http') ? { plainHttp: true } : {}),
  }
}

function labels(invocation: Invocation): { labels?: Record<string, string> } {
  const pairs = textOptions(invocation, 'label').map((label) => {
    const at = label.indexOf('=')
    if (at < 1) throw new UsageError(`--label takes key=value, not "${label}"`)
    return [label.slice(0, at), label.slice(at + 1)] as const
  })
  return pairs.length === 0 ? {} : { labels: Object.fromEntries(pairs) }
}

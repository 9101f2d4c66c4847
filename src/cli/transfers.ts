import { open, rename, rm, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { pathToFileURL } from 'node:url'
import type { Job } from '../http/schemas/types.ts'
import { flag, type Invocation, textOption, textOptions, UsageError } from './arguments.ts'
import { type ApiClient, ApiProblem } from './client.ts'
import { endText } from './renderers.ts'
import type { ExitCode, Terminal } from './terminal.ts'
import { watchJob } from './watch.ts'

interface Context {
  invocation: Invocation
  client: ApiClient
  terminal: Terminal
}

/** `layerd publish PACKAGE REFERENCE`: by path where the daemon can read it, else by upload. */
export async function publish(context: Context): Promise<ExitCode> {
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
  const job = await submit(context, { ...body, source: pathToFileURL(path).href }, headers).catch(
    async (error: unknown) => {
      if (!needsUpload(error)) throw error
      const { id } = await upload(context, path, error)
      return submit(context, { ...body, source: `upload:${id}` }, headers)
    },
  )
  return (await settle(context, job)).exit
}

/** `layerd pull REFERENCE`: into the store, then the archive to a folder of this machine. */
export async function pull(context: Context): Promise<ExitCode> {
  const { invocation, terminal } = context
  const [source = ''] = invocation.positionals
  const components = textOption(invocation, 'components')
  const architecture = textOption(invocation, 'architecture')
  const body = {
    kind: 'pull',
    source,
    options: {
      ...(architecture === undefined ? {} : { architecture }),
      ...(components === undefined ? {} : { components: components.split(',').map((name) => name.trim()) }),
      ...jobOptions(invocation),
    },
    ...labels(invocation),
  }
  const submitted = await submit(context, body, await registryAuth(context, source))
  const { job, exit } = await settle(context, submitted)
  if (exit !== 0 || flag(invocation, 'store') || !job?.result?.archive) return exit
  const folder = resolve(terminal.cwd, textOption(invocation, 'output') ?? '.')
  const query = components === undefined ? '' : `?components=${encodeURIComponent(components)}`
  const saved = await save(context, `${job.result.archive}${query}`, folder)
  if (!flag(invocation, 'json')) terminal.stdout.write(`${saved}\n`)
  return 0
}

async function submit(context: Context, body: unknown, headers: Record<string, string>): Promise<Job> {
  return context.client.json<Job>('POST', '/v1/jobs', { body, headers })
}

async function settle(
  { invocation, client, terminal }: Context,
  job: Job,
): Promise<{ job: Job | undefined; exit: ExitCode }> {
  const json = flag(invocation, 'json')
  const quiet = flag(invocation, 'quiet')
  if (flag(invocation, 'detach')) {
    terminal.stdout.write(json ? `${JSON.stringify(job)}\n` : `${job.id}\n`)
    return { job, exit: 0 }
  }
  const watched = await watchJob(job.id, client, terminal, { json, quiet })
  if (quiet && watched.job) {
    if (watched.exit === 0) terminal.stdout.write(`${watched.job.result?.digest ?? ''}\n`)
    else terminal.stderr.write(`${endText(watched.job)}\n`)
  }
  return watched
}

function needsUpload(error: unknown): error is ApiProblem {
  return error instanceof ApiProblem && ['PACKAGE_OUTSIDE_ROOTS', 'PACKAGE_NOT_FOUND'].includes(error.problem.code)
}

async function upload(
  { client, terminal, invocation }: Context,
  path: string,
  refusal: ApiProblem,
): Promise<{ id: string }> {
  const found = await stat(path).catch(() => undefined)
  if (!found) throw refusal
  if (found.isDirectory()) {
    throw new ApiProblem({
      ...refusal.problem,
      hint: 'The daemon cannot read this folder. Put it under one of its LAYERD_FILE_ROOTS, or publish the package as an archive.',
    })
  }
  const calm = flag(invocation, 'quiet') || flag(invocation, 'json')
  if (!calm) terminal.stderr.write(`the daemon cannot read ${path}: uploading it\n`)
  return client.upload(path, () => undefined)
}

const SAVE_ATTEMPTS = 5

/** Saves an archive under its own name, through a temporary one; a cut is taken up where it broke. */
async function save({ client, invocation }: Context, path: string, folder: string): Promise<string> {
  let part: { temporary: string; target: string; etag: string | undefined } | undefined
  let size = 0
  try {
    for (let attempt = 1; ; attempt += 1) {
      const download = await client.download(path, {
        offset: size,
        ...(part?.etag === undefined ? {} : { etag: part.etag }),
      })
      if (!part) {
        const target = join(folder, basename(download.fileName ?? 'package.tar.zst'))
        await refuseExisting(target, flag(invocation, 'overwrite'))
        part = { target, temporary: `${target}.part`, etag: download.etag }
      }
      const start = download.status === 206 ? size : 0
      const file = await open(part.temporary, start === 0 ? 'w' : 'r+')
      const cut = await pipeline(download.body, file.createWriteStream({ start, highWaterMark: 1024 * 1024 })).catch(
        (error: Error) => error,
      )
      size = (await stat(part.temporary)).size
      if (!cut && (download.size === undefined || download.size === size)) break
      if (attempt === SAVE_ATTEMPTS) throw cut ?? new Error(`${part.target}: got ${size} of ${download.size} bytes`)
    }
    await rename(part.temporary, part.target)
    return part.target
  } catch (error) {
    if (part) await rm(part.temporary, { force: true })
    throw error
  }
}

async function refuseExisting(target: string, overwrite: boolean): Promise<void> {
  if (overwrite || !(await stat(target).catch(() => undefined))) return
  throw new UsageError(`${target} exists; --overwrite replaces it`)
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

/** X-Registry-Auth (the Docker Engine's header) from --username and the password on standard input. */
async function registryAuth({ invocation, terminal }: Context, reference: string): Promise<Record<string, string>> {
  const username = textOption(invocation, 'username')
  if (username === undefined) return {}
  if (!flag(invocation, 'password-stdin')) throw new UsageError('--username needs --password-stdin')
  const chunks: Buffer[] = []
  for await (const chunk of terminal.stdin) chunks.push(Buffer.from(chunk))
  const password = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
  const serveraddress = reference.replace(/^oci:\/\//, '').split('/')[0]
  const json = JSON.stringify({ username, password, serveraddress })
  return { 'x-registry-auth': Buffer.from(json).toString('base64url') }
}

import { access, constants, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { systemClock } from '../../lib/clock.ts'
import { byteProgress } from '../view/byte-progress.ts'
import type { Download } from '../client/api-client.ts'
import { ApiProblem } from '../client/problems.ts'
import { CommandFailure, type CommandContext, interruptible } from '../client/context.ts'
import { makeFolders } from '../../lib/make-folders.ts'
import { lookAtBundle } from './bundle.ts'
import { lookAt, type LookOptions } from './remote-package.ts'

/** A daemon that restarts takes seconds; an attempt that brought bytes begins the count anew. */
const ATTEMPTS = 30
const RETRY_MS = 1000
/** The look at the registry is a courtesy: a slow one shall not hold up the pull. */
const LOOK_MS = 5000
const NOT_SAVED = 'Not saved. The package is in the store for 24 hours: the same pull only saves it.'

export interface SaveOptions extends LookOptions {
  overwrite?: boolean
}

/** What `folder` would refuse is found before the daemon moves a byte. Throws CommandFailure. */
export async function checkFolder(
  context: CommandContext,
  folder: string,
  asked: { reference: string; headers: Record<string, string>; options: SaveOptions },
): Promise<void> {
  const names = await writableNames(folder)
  if (asked.options.overwrite || !names.some((name) => /\.tar(?:\.zst)?$/.test(name))) return
  const fileName = await fileNameOf(context, asked)
  if (fileName !== undefined && names.includes(fileName)) throw exists(join(folder, fileName))
}

/** Saves an archive under its own name, through a temporary one; a cut is taken up where it broke. */
export async function saveArchive(
  context: CommandContext,
  path: string,
  { folder, overwrite, notSaved = NOT_SAVED }: { folder: string; overwrite: boolean; notSaved?: string },
): Promise<string> {
  const { client, terminal, json, quiet } = context
  await makeFolders(folder).catch((error: unknown) => {
    throw cannotWrite(folder, error)
  })
  return interruptible(context, notSaved, async () => {
    const first = await client.download(path, { offset: 0 })
    const target = join(folder, basename(first.fileName ?? 'package.tar.zst'))
    if (!overwrite && (await stat(target).catch(() => undefined))) throw exists(target)
    const temporary = `${target}.part`
    using progress = byteProgress(terminal, { verb: 'saving', silent: quiet || json })
    try {
      await fetchAll(context, { path, temporary, first, onBytes: progress.update })
      await rename(temporary, target)
      return target
    } catch (error) {
      await rm(temporary, { force: true })
      throw cannotWrite(target, error)
    }
  })
}

interface Fetch {
  path: string
  temporary: string
  first: Download
  onBytes: (bytes: number, total: number | undefined) => void
}

async function fetchAll({ client, stop }: CommandContext, { path, temporary, first, onBytes }: Fetch): Promise<void> {
  const etag = first.etag === undefined ? {} : { etag: first.etag }
  let download: Download | undefined = first
  let bytes = 0
  for (let failures = 0; failures < ATTEMPTS; failures += 1) {
    const before = bytes
    if (download) bytes = await append(temporary, download, onBytes)
    if (download?.size === bytes) return
    if (bytes > before) failures = 0
    await systemClock.sleep(RETRY_MS, stop.signal)
    download = await client.download(path, { offset: bytes, ...etag }).catch((error: unknown) => {
      if (error instanceof ApiProblem && error.problem.retryable) return undefined
      throw error
    })
  }
  throw new CommandFailure(`the daemon broke off at ${bytes} of ${first.size} bytes, and again ${ATTEMPTS} times`)
}

/** Adds what arrives and answers how long the file is then; a connection that breaks is no failure, a full disk is. */
async function append(path: string, download: Download, onBytes: Fetch['onBytes']): Promise<number> {
  const start = download.offset
  const file = await open(path, start === 0 ? 'w' : 'r+')
  const sink = file.createWriteStream({ start, highWaterMark: 1024 * 1024 })
  let bytes = start
  download.body.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    onBytes(bytes, download.size)
  })
  await pipeline(download.body, sink).catch((error: NodeJS.ErrnoException) => {
    if (error.syscall === 'write') throw error
  })
  return (await stat(path)).size
}

/** What lies in the folder. One that is not there is made when there is something to save: its parent decides. */
async function writableNames(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder)
    await access(folder, constants.W_OK)
    return names
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(folder) === folder) {
      throw cannotWrite(folder, error)
    }
    await writableNames(dirname(folder))
    return []
  }
}

/** The name that the archive would have, where the registry tells it in time; else the job says what is wrong. */
async function fileNameOf(
  context: CommandContext,
  { reference, headers, options }: { reference: string; headers: Record<string, string>; options: SaveOptions },
): Promise<string | undefined> {
  const looked = lookAt(context, reference, options, headers)
    .catch((error: unknown) => {
      // A bundle is none of what this looks at.
      if (error instanceof ApiProblem && error.problem.code === 'PACKAGE_FORMAT_UNSUPPORTED') {
        return lookAtBundle(context, reference, options, headers)
      }
      throw error
    })
    .catch((error: unknown) => {
      if (error instanceof ApiProblem) return undefined
      throw error
    })
  const found = await Promise.race([looked, systemClock.sleep(LOOK_MS, context.stop.signal)])
  return found === undefined || !('fileName' in found) ? undefined : (found.fileName ?? undefined)
}

function exists(target: string): CommandFailure {
  return new CommandFailure(`${target} exists; --overwrite replaces it`)
}

function cannotWrite(path: string, error: unknown): unknown {
  if ((error as NodeJS.ErrnoException).syscall === undefined) return error
  return new CommandFailure(`cannot write ${path}: ${(error as Error).message}`)
}

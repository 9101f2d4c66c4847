import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ERROR_CODES } from '../../lib/errors.ts'
import { type CommandContext, interruptible } from '../client/context.ts'
import type { Problem } from '../client/contract.ts'
import { ApiProblem, problem } from '../client/problems.ts'
import type { UploadStep } from '../client/resumable-upload.ts'
import { type ByteProgress, byteProgress } from '../view/byte-progress.ts'
import { fold, formatBytes } from '../view/format.ts'
import { screenColumns } from '../client/terminal.ts'

/** What a daemon says of a path that it can't read, and this machine perhaps can. */
const UPLOADABLE: ReadonlySet<string> = new Set(['PACKAGE_OUTSIDE_ROOTS', 'PACKAGE_NOT_FOUND', 'PACKAGE_UNREADABLE'])

export function needsUpload(error: unknown): error is ApiProblem {
  return error instanceof ApiProblem && UPLOADABLE.has(error.problem.code)
}

/** Where the daemon was not asked for it: there is nothing that it said. */
const UNASKED = problem('PACKAGE_UNREADABLE', ERROR_CODES.PACKAGE_UNREADABLE.status, '')

/**
 * Sends the package at `path`, which the daemon refused to read so; of `part000` of a split one every part, each an upload of
 * its own. Resolves with their ids, the one that a job names first. Throws ApiProblem.
 */
export async function uploadPackage(
  context: CommandContext,
  path: string,
  refusal: ApiProblem = new ApiProblem(UNASKED),
): Promise<readonly string[]> {
  const { terminal, quiet, json } = context
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new ApiProblem(nowhere(refusal.problem, path, error.code))
  })
  if (found.isDirectory()) {
    throw new ApiProblem({
      ...refusal.problem,
      detail: refusal.problem.detail || `${path} is a folder`,
      hint: 'The daemon cannot read this folder. Put it under one of its LAYERD_FILE_ROOTS, or publish the package as an archive.',
    })
  }
  const paths = await withParts(path, refusal)
  const silent = quiet || json
  const what = paths.length > 1 ? `all ${paths.length} parts` : 'it'
  if (!silent)
    terminal.stderr.write(
      refusal.problem === UNASKED
        ? `uploading ${what} for a look\n`
        : `the daemon cannot read ${path}: uploading ${what}\n`,
    )
  return await sendInTurn(context, paths, { isPart: paths.length > 1 })
}

/** Sends files for an artifact, whatever they are called; resolves with the ids in their order. Throws ApiProblem. */
export async function uploadFiles(context: CommandContext, paths: readonly string[]): Promise<readonly string[]> {
  const { terminal, quiet, json } = context
  if (!quiet && !json) terminal.stderr.write('the daemon cannot read them: uploading\n')
  return await sendInTurn(context, paths, { isPart: false, asFile: true })
}

interface SendOptions {
  /** Others of its package are sent, too. */
  isPart: boolean
  /** It is no package, whatever its name. */
  asFile?: boolean
}

/** One after the other; interrupted, it says what is kept. Resolves with the ids. */
function sendInTurn(
  context: CommandContext,
  paths: readonly string[],
  options: SendOptions,
): Promise<readonly string[]> {
  const sending: Sending = { arrived: undefined }
  return interruptible(
    context,
    () => `Not uploaded, and no job was made.${howToGoOn(sending)}`,
    async () => {
      const ids: string[] = []
      for (const path of paths) ids.push(await sendFile(context, path, { sending, ...options }))
      return ids
    },
  )
}

/** How far the file is that is under way. */
interface Sending {
  /** Undefined: nothing of it is kept when it breaks off. */
  arrived: { bytes: number; of: number } | undefined
}

/** A cut of a smaller one costs less than what makes it resumable: its hash, and four requests. */
const RESUMABLE_FROM = 64 * 1024 * 1024

/** Its id. Throws ApiProblem, CommandFailure. */
async function sendFile(
  context: CommandContext,
  path: string,
  { sending, isPart, asFile = false }: { sending: Sending } & SendOptions,
): Promise<string> {
  const { client, terminal, quiet, json } = context
  const silent = quiet || json
  const { size } = await stat(path)
  if (size >= RESUMABLE_FROM) {
    using steps = showSteps(context, size, sending)
    try {
      // Of many parts those that an earlier command sent are there.
      const upload = await client.uploadResumably(path, { onStep: steps.onStep, mayBeThere: isPart, asFile })
      sending.arrived = undefined
      if (upload) return upload.id
    } catch (error) {
      const kept = error instanceof ApiProblem && error.problem.status !== 404
      const left = kept ? howToGoOn(sending).trim() : ''
      if (left !== '') steps.end(left)
      throw error
    }
    if (!silent) terminal.stderr.write('(this daemon is an older one: an upload that breaks off begins anew)\n')
  }
  using progress = byteProgress(terminal, { verb: 'uploading', silent })
  return (await client.upload(path, { onBytes: progress.update, asFile })).id
}

function howToGoOn({ arrived }: Sending): string {
  if (!arrived) return ''
  const { bytes, of } = arrived
  return ` About ${formatBytes(bytes)} of ${formatBytes(of)} have arrived and are kept for 24 hours: the same command goes on from there.`
}

/** Shows what becomes of a resumable upload: first its hash, then its bytes. */
function showSteps({ terminal, quiet, json }: CommandContext, size: number, sending: Sending) {
  const silent = quiet || json
  let shown: { verb: string; progress: ByteProgress } | undefined
  const end = (text: string) => {
    shown?.progress[Symbol.dispose]()
    shown = undefined
    if (!silent) terminal.stderr.write(`${fold(text, screenColumns(terminal.stderr))}\n`)
  }
  const show = (verb: string): ByteProgress => {
    if (shown?.verb === verb) return shown.progress
    shown?.progress[Symbol.dispose]()
    shown = { verb, progress: byteProgress(terminal, { verb, silent }) }
    return shown.progress
  }
  const sent = (bytes: number) => {
    sending.arrived = { bytes, of: size }
    return show('uploading')
  }
  return {
    end,
    onStep: (step: UploadStep): void => {
      switch (step.type) {
        case 'offered':
          return end('It is hashed first; if the upload breaks off, it goes on where it stood.')
        case 'hashing':
          return show('reading').update(step.bytes, size)
        case 'changed':
          return end('The file has changed since an upload of it broke off: it begins anew.')
        case 'resumed':
          end(`Going on at ${formatBytes(step.bytes)} of ${formatBytes(size)}.`)
          return sent(step.bytes).begin(step.bytes)
        case 'again':
          sent(step.bytes).begin(step.bytes)
          return sent(step.bytes).say('going on', `going on at ${formatBytes(step.bytes)}`)
        case 'sending':
          return sent(step.bytes).update(step.bytes, size)
        case 'checking':
          return sent(size).say('sent, the daemon checks it')
        case 'waiting':
          return sent(step.bytes).say('no connection, asking again', `${step.why}; asking again`)
      }
    },
    [Symbol.dispose]: () => shown?.progress[Symbol.dispose](),
  }
}

/** What cannot be deleted (a daemon that is gone, a token that may not) goes by itself after 24 h: no reason to fail. */
export async function forgetUpload({ client }: Pick<CommandContext, 'client'>, upload: string): Promise<void> {
  await client.calls.DELETE('/v1/uploads/{upload}', { params: { path: { upload } } }).catch(() => undefined)
}

const HEAD = /\.part000$/

/** The file, and the parts that lie beside it where it is part000: all up to the last that is there. */
async function withParts(path: string, refusal: ApiProblem): Promise<readonly string[]> {
  if (!HEAD.test(path)) return [path]
  const stem = basename(path).replace(HEAD, '.part')
  const names = (await readdir(dirname(path))).filter(
    (name) => name.startsWith(stem) && /^[0-9]{3}$/.test(name.slice(stem.length)),
  )
  const last = Math.max(...names.map((name) => Number(name.slice(stem.length))))
  const parts = Array.from({ length: last + 1 }, (_, part) => `${stem}${String(part).padStart(3, '0')}`)
  const gone = parts.find((name) => !names.includes(name))
  if (gone === undefined) return parts.map((name) => join(dirname(path), name))
  throw new ApiProblem(nowhere(refusal.problem, join(dirname(path), gone), 'ENOENT'))
}

/** A path that is missing here is most likely misspelt, whatever the daemon says of it. */
function nowhere(refused: Problem, path: string, code: string | undefined): Problem {
  const { errors: _said, ...rest } = refused
  const daemon =
    refused.code === 'PACKAGE_OUTSIDE_ROOTS' ? 'the daemon may not look there' : `the daemon says: ${refused.detail}`
  const and = refused.detail === '' ? '' : `, and ${daemon}`
  if (code !== 'ENOENT' && code !== 'ENOTDIR') {
    return { ...rest, detail: `${path} cannot be read here (${code})${and}` }
  }
  return {
    ...rest,
    type: '/docs/errors#PACKAGE_NOT_FOUND',
    code: 'PACKAGE_NOT_FOUND',
    title: ERROR_CODES.PACKAGE_NOT_FOUND.title,
    status: ERROR_CODES.PACKAGE_NOT_FOUND.status,
    detail: `there is no ${path} on this machine${and}`,
    hint: 'Check the spelling of the path.',
  }
}

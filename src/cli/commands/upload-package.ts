import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ERROR_CODES } from '../../lib/errors.ts'
import { type CommandContext, interruptible } from '../client/context.ts'
import type { Problem } from '../client/contract.ts'
import { ApiProblem, problem } from '../client/problems.ts'
import { byteProgress } from '../view/byte-progress.ts'

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
  const { client, terminal, quiet, json } = context
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
  return interruptible(context, 'Not uploaded, and no job was made.', async () => {
    const ids: string[] = []
    for (const each of paths) {
      using progress = byteProgress(terminal, { verb: 'uploading', silent })
      ids.push((await client.upload(each, progress.update)).id)
    }
    return ids
  })
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

import { resolve } from 'node:path'
import type { CommandContext } from '../../client/context.ts'
import { requireStoredDigest } from '../../client/stored-digest.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { saveArchive } from '../save.ts'

export interface DownloadOptions {
  since?: string
  output?: string
  overwrite?: boolean
}

/** `layerd download DIGEST`: the archive of a stored package, or what of it another one lacks. */
export async function download(
  context: CommandContext,
  text: string,
  { since, output = '.', overwrite = false }: DownloadOptions,
): Promise<ExitCode> {
  const { terminal, json } = context
  const query = since === undefined ? '' : `?since=${requireStoredDigest(since)}`
  const address = `/v1/packages/${requireStoredDigest(text)}/archive${query}`
  const folder = resolve(terminal.cwd, output)
  const path = await saveArchive(context, address, { folder, overwrite, notSaved: 'Not saved.' })
  terminal.stdout.write(json ? `${JSON.stringify({ type: 'saved', path })}\n` : `${path}\n`)
  return 0
}

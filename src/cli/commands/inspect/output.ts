import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { makeFolders } from '../../../lib/make-folders.ts'
import { hasUnseen } from '../../../lib/text.ts'
import { CommandFailure, type CommandContext } from '../../client/context.ts'

/** Text for people, or for the file that was named. */
export async function writeText(context: CommandContext, text: string, output: string | undefined): Promise<void> {
  const { terminal } = context
  if (output === undefined) {
    if (text === '' && !context.quiet) terminal.stderr.write('(none)\n')
    terminal.stdout.write(text)
  } else await saveTo(context, output, [Buffer.from(text)])
}

/** Bytes as they are, but for a screen, which obeys some of them. */
export async function writeBytes(context: CommandContext, body: Readable, output: string | undefined): Promise<void> {
  const { terminal } = context
  if (output !== undefined) return await saveTo(context, output, body)
  for await (const chunk of body) {
    if (terminal.stdout.isTTY) terminal.stdout.write((chunk as Buffer).toString('utf8'))
    else await terminal.pipe(chunk as Buffer)
  }
}

/** Under its name in a folder; the name is somebody else's. Throws CommandFailure for one that leads out of the folder. */
export async function saveInto(context: CommandContext, folder: string, name: string, body: Readable): Promise<void> {
  const parts = name.split('/')
  if (parts.some((part) => ['', '.', '..'].includes(part)) || name.includes('\\') || hasUnseen(name)) {
    throw new CommandFailure(`"${name}" is not a name to save a file under`)
  }
  await saveTo(context, join(folder, ...parts), body)
}

/** There whole or not at all; tells where. */
async function saveTo(
  { terminal, json }: CommandContext,
  output: string,
  body: Readable | Iterable<Buffer>,
): Promise<void> {
  const path = resolve(terminal.cwd, output)
  const temporary = `${path}.part`
  try {
    await makeFolders(dirname(path))
    await pipeline(body, createWriteStream(temporary))
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    const { syscall, message } = error as NodeJS.ErrnoException
    throw syscall === undefined ? error : new CommandFailure(`cannot write ${path}: ${message}`)
  }
  terminal.stdout.write(json ? `${JSON.stringify({ type: 'saved', path })}\n` : `${path}\n`)
}

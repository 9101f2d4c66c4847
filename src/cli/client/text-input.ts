import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CommandFailure } from './context.ts'
import type { Terminal } from './terminal.ts'

/** The text of a file, `-` for standard input, of at most so many bytes. Throws CommandFailure. */
export async function textFrom({ stdin, cwd }: Terminal, file: string, most: number): Promise<string> {
  if (file === '-') return (await upTo(most, stdin, 'standard input')).toString('utf8')
  const path = resolve(cwd, file)
  try {
    await using handle = await open(path, 'r')
    return (await upTo(most, handle.createReadStream({ autoClose: false }), path)).toString('utf8')
  } catch (error) {
    if (error instanceof CommandFailure) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new CommandFailure(`${path} cannot be read (${code ?? 'unknown reason'})`)
  }
}

/** What is no file may have no end. */
async function upTo(most: number, source: AsyncIterable<Buffer | string>, name: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of source) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > most) throw new CommandFailure(`${name} has more than ${most} bytes, which the daemon does not take`)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}

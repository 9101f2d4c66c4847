import { createReadStream } from 'node:fs'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'

/** What a program wrote is kept up to 10 MiB: its first half, and of the rest the newest, in two files that take turns. */
const HEAD_BYTES = 5 * 1024 ** 2
const TURN_BYTES = HEAD_BYTES / 2

/** Takes the lines of one program, in order. What cannot be written is left out: that is no reason to stop a deploy. */
export interface OutputFile extends AsyncDisposable {
  add(lines: readonly string[]): Promise<void>
}

/** Of a job's program. Readable for this user alone. */
export function createOutputFile(path: string): OutputFile {
  let file: FileHandle | undefined
  let place: 'head' | 'new' = 'head'
  let bytes = 0
  const next = async (): Promise<void> => {
    await file?.close()
    if (place === 'new') await rename(pathsOf(path).newest, pathsOf(path).older)
    place = 'new'
    bytes = 0
    file = await open(pathsOf(path).newest, 'w', 0o600)
  }
  const write = async (text: Buffer): Promise<void> => {
    file ??= await open(path, 'w', 0o600)
    if (bytes + text.length > (place === 'head' ? HEAD_BYTES : TURN_BYTES)) await next()
    await file.writeFile(text)
    bytes += text.length
  }
  let last = Promise.resolve()
  return {
    add(lines) {
      if (lines.length === 0) return last
      const text = Buffer.from(`${lines.join('\n')}\n`)
      last = last.then(() => write(text)).catch(() => undefined)
      return last
    },
    async [Symbol.asyncDispose]() {
      await last
      await file?.close()
    },
  }
}

/** What is kept of it, oldest first; undefined where nothing is. */
export async function readOutputFile(path: string): Promise<Readable | undefined> {
  const { older, newest } = pathsOf(path)
  const there = await Promise.all([path, older, newest].map((each) => stat(each).catch(() => undefined)))
  const [head, ...others] = [path, older, newest].filter((_, at) => there[at] !== undefined)
  if (head === undefined) return undefined
  const left = there[1] !== undefined
  return Readable.from(
    (async function* () {
      yield* createReadStream(head)
      if (left) yield Buffer.from('... what stood here was too much to be kept ...\n')
      for (const each of others) yield* createReadStream(each)
    })(),
  )
}

export async function removeOutputFile(path: string): Promise<void> {
  const { older, newest } = pathsOf(path)
  await Promise.all([path, older, newest].map((each) => rm(each, { force: true })))
}

function pathsOf(path: string): { older: string; newest: string } {
  return { older: `${path}.older`, newest: `${path}.newest` }
}

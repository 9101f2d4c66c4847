import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { CommandFailure } from './context.ts'

/** A file that is being sent: what was opened at first, wherever its path leads by then. */
export interface SentFile extends AsyncDisposable {
  readonly path: string
  readonly name: string
  readonly size: number
  /** Its SHA-256, hexadecimal. Throws CommandFailure. */
  sha256(onBytes: (bytes: number) => void, signal: AbortSignal): Promise<string>
  /** What is left of it from `offset` on; `onBytes` is told how far it is once somebody has taken so much. Throws CommandFailure. */
  from(offset: number, onBytes: (bytes: number) => void): AsyncGenerator<Buffer>
  /** Throws CommandFailure where it was written to; what is not seen so the daemon finds by the hash. */
  checkUnchanged(): Promise<void>
}

const READ_BYTES = 256 * 1024

/** Throws what the file system throws. */
export async function openSentFile(path: string): Promise<SentFile> {
  const handle = await open(path, 'r')
  const identity = async () => {
    const { size, mtimeNs } = await handle.stat({ bigint: true })
    return { size, text: `${size}:${mtimeNs}` }
  }
  const opened = await identity().catch(async (error: unknown) => {
    await handle.close()
    throw error
  })
  const size = Number(opened.size)
  async function* from(offset: number, onBytes: (bytes: number) => void): AsyncGenerator<Buffer> {
    for (let at = offset; at < size; ) {
      // A new one each time: the socket may still hold the one before.
      const wanted = Buffer.allocUnsafe(Math.min(READ_BYTES, size - at))
      const { bytesRead } = await handle.read(wanted, 0, wanted.length, at)
      if (bytesRead === 0) throw changed(path)
      yield wanted.subarray(0, bytesRead)
      at += bytesRead
      onBytes(at)
    }
  }
  return {
    path,
    name: basename(path),
    size,
    async sha256(onBytes, signal) {
      const hash = createHash('sha256')
      for await (const chunk of from(0, onBytes)) {
        signal.throwIfAborted()
        hash.update(chunk)
      }
      return hash.digest('hex')
    },
    from,
    async checkUnchanged() {
      if ((await identity()).text !== opened.text) throw changed(path)
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

export function changed(path: string): CommandFailure {
  return new CommandFailure(`${path} changed while it was sent: nothing of it was kept. Run the command again.`)
}

import { createHash } from 'node:crypto'
import { throwIfAborted } from '../../lib/abort.ts'
import { createBreathing } from '../../lib/loop/breathe.ts'
import type { OpenedFile } from '../opened.ts'

export interface HashFileOptions {
  signal: AbortSignal
  /** Told how many bytes were read so far. */
  onRead: (bytesRead: number) => void
}

/** The SHA-256 of a file, hexadecimal; it is read once. Throws what reading throws, the signal's reason. */
export async function sha256OfFile(
  file: Pick<OpenedFile, 'stream'>,
  { signal, onRead }: HashFileOptions,
): Promise<string> {
  const hash = createHash('sha256')
  const breathe = createBreathing()
  let bytesRead = 0
  for await (const chunk of file.stream({ signal })) {
    throwIfAborted(signal)
    hash.update(chunk)
    bytesRead += chunk.length
    onRead(bytesRead)
    await breathe()
  }
  return hash.digest('hex')
}

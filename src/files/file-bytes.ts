import type { FileHandle } from 'node:fs/promises'
import { type ByteStream, OWN_BELOW_BYTES } from '../content/endpoints.ts'
import { throwIfAborted } from '../lib/abort.ts'
import { AppError } from '../lib/errors.ts'

const CHUNK_BYTES = 1024 * 1024
const RING = 4

export interface FileRange {
  /** What errors call the file. */
  name: string
  start: number
  end: number
  signal: AbortSignal
  /** Told after each read. */
  onRead?: (bytes: number) => void
}

/**
 * The bytes of a range, at explicit offsets so that many streams share one handle. One chunk is read ahead into a ring of
 * four buffers: as ByteStream promises, a chunk stays as it is until three more were asked for. Memory: 4 MiB a stream.
 * Throws PACKAGE_CHANGED when the file is shorter than it was.
 */
export async function* fileBytes(handle: FileHandle, range: FileRange): ByteStream {
  const ring: Buffer[] = []
  let position = range.start
  const readNext = (turn: number): Promise<Buffer> | undefined => {
    if (position >= range.end) return undefined
    const length = Math.min(CHUNK_BYTES, range.end - position)
    const buffer = length < OWN_BELOW_BYTES ? Buffer.allocUnsafe(length) : (ring[turn % RING] ??= ringBuffer(range))
    const target = buffer.subarray(0, length)
    const at = position
    position += length
    const reading = readAt(handle, { target, at, name: range.name })
    // It may fail while the consumer is busy with the chunk before; awaited later, it must not count as unhandled.
    reading.catch(() => undefined)
    return reading
  }
  let pending = readNext(0)
  try {
    for (let turn = 1; pending; turn++) {
      throwIfAborted(range.signal)
      const chunk = await pending
      pending = readNext(turn)
      range.onRead?.(chunk.length)
      yield chunk
    }
  } finally {
    // A read that is still running must not outlive the handle.
    await pending?.catch(() => undefined)
  }
}

function ringBuffer(range: FileRange): Buffer {
  return Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, range.end - range.start))
}

/** Fills `target` from the offset `at`. Throws PACKAGE_CHANGED at the end of the file, PACKAGE_UNREADABLE. */
export async function readAt(
  handle: FileHandle,
  { target, at, name }: { target: Buffer; at: number; name: string },
): Promise<Buffer> {
  for (let filled = 0; filled < target.length; ) {
    const { bytesRead } = await handle
      .read(target, filled, target.length - filled, at + filled)
      .catch((error: unknown) => Promise.reject(unreadable(name, error)))
    if (bytesRead === 0) throw changed(name)
    filled += bytesRead
  }
  return target
}

export function changed(name: string): AppError {
  return new AppError('PACKAGE_CHANGED', `${name} changed while it was being read`, {
    hint: 'Wait until whatever writes the package has finished, then try again.',
    details: { path: name },
  })
}

/** A file system error in plain words. */
export function unreadable(name: string, error: unknown): AppError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new AppError('PACKAGE_NOT_FOUND', `there is no ${name}`, { cause: error, details: { path: name } })
  }
  return new AppError('PACKAGE_UNREADABLE', `${name} cannot be read: ${code}`, {
    cause: error,
    hint: code === 'EACCES' ? 'Give the user that layerd runs as the right to read it.' : 'Check the disk it lies on.',
    details: { path: name },
  })
}

import { type FileHandle, open } from 'node:fs/promises'
import type { ByteStream } from '../../content/endpoints.ts'
import { readAhead } from '../../content/read-ahead.ts'
import { AppError } from '../../lib/errors.ts'

/** A stored blob, readable at any offset by many at once. */
export interface BlobFile extends AsyncDisposable {
  /** Fills the buffers in order with the bytes from `position` on. Throws STORE_CORRUPT when the file is shorter. */
  read(buffers: readonly Buffer[], position: number): Promise<void>
  /** What tells this file from any other, and from what it was before it was written to or replaced. */
  identity(): Promise<string>
}

/** Throws STORE_CORRUPT, naming the blob, when it is absent. */
export async function openBlobFile(path: string, name: string): Promise<BlobFile> {
  const handle = await openHandle(path, name)
  return {
    read: (buffers, position) => readFully(handle, { buffers, position, name }),
    async identity() {
      const { dev, ino, size, mtimeNs, ctimeNs } = await handle.stat({ bigint: true })
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

/** The bytes from `start` to `end`. Closes the file at its end. */
export async function* streamBlob(
  file: BlobFile,
  range: { start: number; end: number; signal: AbortSignal },
): ByteStream {
  await using blob = file
  yield* readAhead(range, (buffer, position) => blob.read([buffer], position))
}

async function openHandle(path: string, name: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (error) {
    throw damaged(name, `cannot be opened: ${(error as NodeJS.ErrnoException).code}`, { cause: error })
  }
}

async function readFully(
  handle: FileHandle,
  { buffers, position, name }: { buffers: readonly Buffer[]; position: number; name: string },
): Promise<void> {
  let left = buffers.filter((buffer) => buffer.length > 0)
  for (let at = position; left.length > 0; ) {
    const { bytesRead } = await handle.readv(left, at)
    if (bytesRead === 0) throw damaged(name, `ends at ${at}`)
    at += bytesRead
    left = behind(left, bytesRead)
  }
}

interface DamageDetails {
  cause?: unknown
  hint?: string
}

/** The parts of the buffers that come after their first `bytes`. */
function behind(buffers: readonly Buffer[], bytes: number): Buffer[] {
  let skip = bytes
  return buffers.flatMap((buffer) => {
    const skipped = Math.min(skip, buffer.length)
    skip -= skipped
    return skipped === buffer.length ? [] : [buffer.subarray(skipped)]
  })
}

export function damaged(
  name: string,
  why: string,
  { cause, hint = "Run 'layerd store check --repair', then pull the package again." }: DamageDetails = {},
): AppError {
  return new AppError('STORE_CORRUPT', `the store is damaged: the blob of ${name} ${why}`, {
    side: 'source',
    details: { name },
    hint,
    cause,
  })
}

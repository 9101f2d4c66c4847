import { throwIfAborted } from '../lib/abort.ts'
import { type ByteStream, OWN_BELOW_BYTES } from './endpoints.ts'

const CHUNK_BYTES = 1024 * 1024
/** ByteStream's promise: a chunk stays as it is until three more were asked for; one more is being read. */
const RING = 4

/**
 * The bytes from `start` to `end` of something that fills buffers at any position: one chunk of 1 MiB is read ahead, into
 * four buffers used in turn. Memory: 4 MiB a stream. No read is under way any more when the stream has ended, early too.
 */
export async function* readAhead(
  range: { start: number; end: number; signal: AbortSignal },
  fill: (buffer: Buffer, position: number) => Promise<void>,
): ByteStream {
  const ring: Buffer[] = []
  const ringBytes = Math.min(CHUNK_BYTES, range.end - range.start)
  let position = range.start
  const readNext = (turn: number): Promise<Buffer> | undefined => {
    const length = Math.min(CHUNK_BYTES, range.end - position)
    if (length <= 0) return undefined
    const fresh = length < OWN_BELOW_BYTES
    const buffer = fresh ? Buffer.allocUnsafe(length) : (ring[turn % RING] ??= Buffer.allocUnsafeSlow(ringBytes))
    const chunk = buffer.subarray(0, length)
    const filled = fill(chunk, position).then(() => chunk)
    // Whoever asks next awaits it; a consumer that is slow to ask must not make a failure count as unhandled.
    filled.catch(() => undefined)
    position += length
    return filled
  }
  let pending = readNext(0)
  try {
    for (let turn = 1; pending; turn += 1) {
      throwIfAborted(range.signal)
      const chunk = await pending
      pending = readNext(turn)
      yield chunk
    }
  } finally {
    await pending?.catch(() => undefined)
  }
}

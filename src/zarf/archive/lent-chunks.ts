import type { Readable } from 'node:stream'
import { type ByteStream, OWN_BELOW_BYTES } from '../../content/endpoints.ts'

/** Chunks taken from the decoder and not yet asked for; it has more ahead itself. */
const QUEUED = 2
/** ByteStream's promise: a chunk stays until so many more were asked for. */
const KEPT = 3

/**
 * A decoder's output, chunk by chunk as it is made (an async iterator would glue what waits into larger copies), in memory
 * that is given back as soon as ByteStream's promise allows. A decoder takes a new buffer for each chunk; left to the
 * garbage collector, these make it mark the whole heap every 64 MB, which costs more than the decoding. `onMade` is told of
 * each chunk as the decoder makes it.
 */
export async function* lentChunks(decoder: Readable, onMade?: (bytes: number) => void): ByteStream {
  const queue: Buffer[] = []
  const state: { ended: boolean; failure?: Error; wake: () => void } = { ended: false, wake: () => undefined }
  const lender = new Lender()
  decoder.on('data', (chunk: Buffer) => {
    onMade?.(chunk.length)
    queue.push(chunk)
    if (queue.length >= QUEUED) decoder.pause()
    state.wake()
  })
  decoder.once('end', () => {
    state.ended = true
    state.wake()
  })
  decoder.once('error', (error) => {
    state.failure = error
    state.wake()
  })
  for (;;) {
    const chunk = queue.shift()
    if (chunk) {
      if (decoder.isPaused()) decoder.resume()
      yield lender.lend(chunk)
    } else if (state.failure) throw state.failure
    else if (state.ended) return
    else await new Promise<void>((resolve) => (state.wake = resolve))
  }
}

/** Knows which memory is still lent. The decoder fills one piece after another, so an older piece is left for good. */
class Lender {
  readonly #lent: { memory: ArrayBufferLike; turn: number }[] = []
  #turn = 0

  lend(chunk: Buffer): Buffer {
    this.#turn += 1
    const newest = this.#lent.at(-1)
    if (newest?.memory === chunk.buffer) newest.turn = this.#turn
    else this.#lent.push({ memory: chunk.buffer, turn: this.#turn })
    this.#giveBack()
    return chunk.length < OWN_BELOW_BYTES ? Buffer.from(chunk) : chunk
  }

  #giveBack(): void {
    for (;;) {
      const [oldest] = this.#lent
      if (this.#lent.length < 2 || !oldest || oldest.turn > this.#turn - KEPT) return
      this.#lent.shift()
      // Detached, it is freed at once. What is as small as this may lie in a pool that others use.
      if (oldest.memory instanceof ArrayBuffer && oldest.memory.byteLength >= OWN_BELOW_BYTES) oldest.memory.transfer(0)
    }
  }
}

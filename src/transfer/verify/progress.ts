import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { ByteStream, VerifyOptions } from '../../content/endpoints.ts'
import { verified } from '../../content/hashing/verify.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import type { OnEvent } from '../events.ts'

/** Tells what is read as a transfer tells what it moves: each digest once. */
export interface ReadProgress {
  /** Reads to the end. Throws DIGEST_MISMATCH, SIZE_MISMATCH, or what `options` make of these. */
  through(blob: Descriptor, stream: ByteStream, options?: VerifyOptions): Promise<void>
  /** For one that was read already. */
  done(blob: Descriptor): void
}

export function readProgress({ onEvent, signal }: { onEvent: OnEvent; signal: AbortSignal }): ReadProgress {
  const told = new Set<Digest>()
  const isNew = (digest: Digest): boolean => !told.has(digest) && told.add(digest) === told
  return {
    async through(blob, stream, options) {
      const { digest } = blob
      const tell: OnEvent = isNew(digest) ? onEvent : () => undefined
      tell({ type: 'started', digest, offset: 0 })
      let offset = 0
      for await (const chunk of verified(stream, blob, options)) {
        throwIfAborted(signal)
        offset += chunk.length
        tell({ type: 'bytes', digest, offset, wire: chunk.length })
      }
      tell({ type: 'complete', digest })
    },
    done({ digest, size }) {
      if (!isNew(digest)) return
      onEvent({ type: 'started', digest, offset: 0 })
      if (size > 0) onEvent({ type: 'bytes', digest, offset: size, wire: size })
      onEvent({ type: 'complete', digest })
    },
  }
}

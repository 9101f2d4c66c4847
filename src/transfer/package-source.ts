import type { Descriptor } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import type { ContentSource } from '../content/endpoints.ts'
import { readAll } from '../content/streams.ts'
import { bufferOpener } from '../content/streams.ts'
import { verified } from '../content/hashing/verify.ts'
import { type ErrorCode, isAppError } from '../lib/errors.ts'

const WRONG_BYTES = new Set<ErrorCode>(['DIGEST_MISMATCH', 'SIZE_MISMATCH'])

/** A source whose small blobs can also be read whole; what was read so is not fetched again when it is copied. */
export interface PackageSource extends ContentSource {
  read(descriptor: Descriptor): Promise<Buffer>
}

/** The caller bounds the size of what it reads. Throws DIGEST_MISMATCH, SIZE_MISMATCH naming the layer. */
export function packageSource(source: ContentSource, signal: AbortSignal): PackageSource {
  const held = new Map<Digest, Buffer>()
  return {
    get ranges() {
      return source.ranges ?? false
    },
    async read(descriptor) {
      const fetched = async () => readAll(verified(await source.open(descriptor, { signal }), descriptor))
      const known = held.get(descriptor.digest)
      if (known) return known
      // A cut's doing, or a mirror's: once more, and from elsewhere where there is one.
      const bytes = await fetched().catch((error: unknown) => {
        if (!isAppError(error) || !WRONG_BYTES.has(error.code)) throw error
        return fetched()
      })
      held.set(descriptor.digest, bytes)
      return bytes
    },
    open(descriptor, options) {
      const known = held.get(descriptor.digest)
      return known ? bufferOpener(known)(options) : source.open(descriptor, options)
    },
  }
}

import type { Descriptor } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import type { ContentSource } from '../content/endpoints.ts'
import { readAll } from '../content/streams.ts'
import { bufferOpener } from '../content/streams.ts'
import { verified } from '../content/hashing/verify.ts'

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
      const known = held.get(descriptor.digest)
      if (known) return known
      const bytes = await readAll(verified(await source.open(descriptor, { signal }), descriptor))
      held.set(descriptor.digest, bytes)
      return bytes
    },
    open(descriptor, options) {
      const known = held.get(descriptor.digest)
      return known ? bufferOpener(known)(options) : source.open(descriptor, options)
    },
  }
}

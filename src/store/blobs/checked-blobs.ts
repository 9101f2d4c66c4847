import { blobName, type Descriptor } from '../../content/descriptor.ts'
import { type Digest, digestHex } from '../../content/digest.ts'
import { createLimiter } from '../../lib/limiter.ts'
import { createSingleFlight } from '../../lib/single-flight.ts'
import { type BlobFile, openBlobFile } from './blob-file.ts'
import { hashFile } from './hash-file.ts'

/** About 200 bytes each. */
const REMEMBERED = 10_000
/** Blobs read at once for that. */
const READERS = 2

/**
 * Files of blobs that were read as a whole and found right since this process began, by what tells one file from another and from
 * what it was before. What changes on the disk alone is not seen again before the next process.
 */
export interface CheckedBlobs extends Disposable {
  /**
   * Opens a blob of which only a part will be read: once it was read as a whole, unless it was before. Those who ask meanwhile wait
   * for the same reading, which goes on when they have gone. `onDamage` is told the digest that was found, and throws.
   */
  open(path: string, descriptor: Descriptor, onDamage: (found: string) => Promise<never>): Promise<BlobFile>
  remember(digest: Digest, identity: string): void
}

export function createCheckedBlobs(hash = hashFile): CheckedBlobs {
  const known = new Map<Digest, string>()
  const readings = createSingleFlight<string>()
  const readers = createLimiter(READERS)
  const stop = new AbortController()
  const remember = (digest: Digest, identity: string): void => {
    known.delete(digest)
    known.set(digest, identity)
    const [oldest] = known.keys()
    if (known.size > REMEMBERED && oldest) known.delete(oldest)
  }
  const read = async (path: string, { digest, size }: Descriptor): Promise<string> => {
    const { hex, identity } = await hash(path, digest, { size, signal: stop.signal })
    if (hex === digestHex(digest) && identity !== undefined) remember(digest, identity)
    return hex
  }
  return {
    remember,
    async open(path, descriptor, onDamage) {
      const { digest } = descriptor
      // Again when somebody has brought the blob anew in between.
      for (;;) {
        const opened = await openBlobFile(path, blobName(descriptor))
        if (known.get(digest) === (await opened.identity())) return opened
        await opened[Symbol.asyncDispose]()
        const found = await readings.run(digest, () => readers.run(() => read(path, descriptor), stop.signal))
        if (found !== digestHex(digest)) await onDamage(found)
      }
    },
    [Symbol.dispose]: () => stop.abort(),
  }
}

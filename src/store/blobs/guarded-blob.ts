import type { Hash } from 'node:crypto'
import type { Descriptor } from '../../content/descriptor.ts'
import { digestHex } from '../../content/digest.ts'
import { hasherFor } from '../../content/hashing/hasher.ts'
import type { BlobFile } from './blob-file.ts'

/**
 * A stored blob that is hashed while it is read from its first byte to its last, one call after the other, and in no other
 * case: a range that begins inside it is served as it lies there. `onDamage` throws; what it is told of is never handed out
 * with its last byte.
 */
export function guardedBlob(
  file: BlobFile,
  descriptor: Descriptor,
  onDamage: (found: string) => Promise<never>,
): BlobFile {
  let hasher: Hash | undefined = hasherFor(descriptor.digest)
  let next = 0
  return {
    async read(buffers, position) {
      const running = position === next ? hasher : undefined
      hasher = running
      next = position + buffers.reduce((bytes, buffer) => bytes + buffer.length, 0)
      await file.read(buffers, position)
      if (!running) return
      for (const buffer of buffers) running.update(buffer)
      if (next !== descriptor.size) return
      hasher = undefined
      const found = running.digest('hex')
      if (found !== digestHex(descriptor.digest)) await onDamage(found)
    },
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  }
}

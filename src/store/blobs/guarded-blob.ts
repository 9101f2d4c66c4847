import type { Hash } from 'node:crypto'
import type { Descriptor } from '../../content/descriptor.ts'
import { digestHex } from '../../content/digest.ts'
import { hasherFor } from '../../content/hashing/hasher.ts'
import type { BlobFile } from './blob-file.ts'

interface Guard {
  /** Throws; what it is told of is never handed out with its last byte. */
  onDamage: (found: string) => Promise<never>
  /** All of the file was read, and is right. */
  onWhole: (identity: string) => void
}

/**
 * A stored blob that is hashed while it is read from its first byte to its last, one call after the other, and in no other
 * case: who reads only a part has it checked before (CheckedBlobs).
 */
export function guardedBlob(file: BlobFile, descriptor: Descriptor, { onDamage, onWhole }: Guard): BlobFile {
  let hasher: Hash | undefined = hasherFor(descriptor.digest)
  let identity: string | undefined
  let next = 0
  return {
    async read(buffers, position) {
      const running = position === next ? hasher : undefined
      hasher = running
      next = position + buffers.reduce((bytes, buffer) => bytes + buffer.length, 0)
      if (position === 0) identity = await file.identity()
      await file.read(buffers, position)
      if (!running) return
      for (const buffer of buffers) running.update(buffer)
      if (next !== descriptor.size) return
      hasher = undefined
      const found = running.digest('hex')
      if (found !== digestHex(descriptor.digest)) await onDamage(found)
      if (identity !== undefined && identity === (await file.identity())) onWhole(identity)
    },
    identity: () => file.identity(),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  }
}

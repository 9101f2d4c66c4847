import type { Hash } from 'node:crypto'
import { AppError } from '../../lib/errors.ts'
import { type Descriptor, titleOrDigest } from '../descriptor.ts'
import { digestHex } from '../digest.ts'
import { hasherFor } from './hasher.ts'
import type { ByteStream, VerifyOptions } from '../endpoints.ts'

/** Where the running hash is remembered, so that a resumed upload re-reads at most this much of its source. */
const REMEMBER_BYTES = 8 * 1024 * 1024

/** Counts and hashes one blob's bytes in order; may be set back, because a cut transfer goes on from an earlier byte. */
export interface Verifier {
  /** The byte that comes next. */
  readonly position: number
  /** Throws SIZE_MISMATCH past the end and, with the last byte, DIGEST_MISMATCH. */
  take(chunk: Buffer): void
  /** The stream has ended; throws SIZE_MISMATCH when bytes are missing. */
  end(): void
  /** Goes back to the last remembered position at or before `offset` and returns it: the source is read from there. */
  rewind(offset: number): number
  /** Takes the bytes before `offset` on trust: the digest is then the far end's to check, unless rewound to 0. */
  trust(offset: number): void
}

export function createVerifier(descriptor: Descriptor, options: VerifyOptions = {}): Verifier {
  const name = options.name ?? titleOrDigest(descriptor)
  const wrongSize = options.wrongSize ?? ((found: number, more: boolean) => sizeMismatch(descriptor, name, found, more))
  const remembered: Array<{ position: number; hasher: Hash | undefined }> = [
    { position: 0, hasher: hasherFor(descriptor.digest) },
  ]
  let position = 0
  let hasher: Hash | undefined = remembered[0]?.hasher?.copy()

  return {
    get position() {
      return position
    },
    take(chunk) {
      position += chunk.length
      if (position > descriptor.size) throw wrongSize(position, true)
      hasher?.update(chunk)
      if (position === descriptor.size) {
        if (hasher) checkDigest(hasher.digest('hex'), descriptor, name, options)
        return
      }
      const last = remembered.at(-1)
      if (hasher && last && position - last.position >= REMEMBER_BYTES) {
        remembered.push({ position, hasher: hasher.copy() })
      }
    },
    end() {
      if (position < descriptor.size) throw wrongSize(position, false)
      if (descriptor.size === 0) checkDigest(hasherFor(descriptor.digest).digest('hex'), descriptor, name, options)
    },
    rewind(offset) {
      remembered.splice(remembered.findLastIndex((state) => state.position <= offset) + 1)
      const known = remembered.at(-1)
      hasher = known?.hasher?.copy()
      position = known?.hasher ? known.position : offset
      return position
    },
    trust(offset) {
      remembered.splice(1, Infinity, { position: offset, hasher: undefined })
    },
  }
}

/**
 * Passes a whole blob through while it counts and hashes. The last chunk is handed on only after the digest was found
 * right, so a consumer that needs every byte (a PUT with Content-Length) can never complete with wrong ones
 * (oci-client.md V1). Throws DIGEST_MISMATCH or SIZE_MISMATCH.
 */
export async function* verified(stream: ByteStream, descriptor: Descriptor, options: VerifyOptions = {}): ByteStream {
  const verifier = createVerifier(descriptor, options)
  for await (const chunk of stream) {
    if (chunk.length === 0) continue
    verifier.take(chunk)
    yield chunk
  }
  verifier.end()
}

function checkDigest(found: string, descriptor: Descriptor, name: string, options: VerifyOptions): void {
  if (found === digestHex(descriptor.digest)) return
  if (options.mismatch) throw options.mismatch(found)
  throw new AppError('DIGEST_MISMATCH', `${name} has the digest ${found}, expected ${descriptor.digest}`, {
    details: { expected: descriptor.digest, found, name },
  })
}

function sizeMismatch(descriptor: Descriptor, name: string, found: number, more: boolean): AppError {
  const amount = more ? `at least ${found}` : `only ${found}`
  return new AppError('SIZE_MISMATCH', `${name} has ${amount} bytes, expected ${descriptor.size}`, {
    details: { expected: descriptor.size, found, name, digest: descriptor.digest },
  })
}

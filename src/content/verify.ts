import { AppError } from '../lib/errors.ts'
import { type Descriptor, descriptorTitle } from './descriptor.ts'
import { digestHex, hasherFor } from './digest.ts'
import type { ByteStream, VerifyOptions } from './endpoints.ts'

/**
 * Passes a whole blob through while it counts and hashes. The last chunk is handed on only after the digest was found
 * right, so a consumer that needs every byte (a PUT with Content-Length) can never complete with wrong ones
 * (oci-client.md V1). Throws DIGEST_MISMATCH or SIZE_MISMATCH.
 */
export async function* verified(stream: ByteStream, descriptor: Descriptor, options: VerifyOptions = {}): ByteStream {
  const name = options.name ?? descriptorTitle(descriptor) ?? descriptor.digest
  const hasher = hasherFor(descriptor.digest)
  let seen = 0
  const wrongSize = options.wrongSize ?? ((found: number, more: boolean) => sizeMismatch(descriptor, name, found, more))
  for await (const chunk of stream) {
    if (chunk.length === 0) continue
    seen += chunk.length
    if (seen > descriptor.size) throw wrongSize(seen, true)
    hasher.update(chunk)
    if (seen === descriptor.size) checkDigest(hasher.digest('hex'), descriptor, name, options)
    yield chunk
  }
  if (seen < descriptor.size) throw wrongSize(seen, false)
  if (descriptor.size === 0) checkDigest(hasher.digest('hex'), descriptor, name, options)
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

import { createHash } from 'node:crypto'
import { AppError } from '../lib/errors.ts'

/** `algorithm:hex`, lower case. Source: OCI image-spec v1.1.1 descriptor.md "Digests"; oci-client.md R4. */
export type Digest = string & { readonly digest: unique symbol }

const SHAPES: Readonly<Record<string, RegExp>> = {
  sha256: /^[a-f0-9]{64}$/,
  sha512: /^[a-f0-9]{128}$/,
}

export function isDigest(text: string): text is Digest {
  const colon = text.indexOf(':')
  return SHAPES[text.slice(0, colon)]?.test(text.slice(colon + 1)) ?? false
}

/** Throws REFERENCE_INVALID: only the registered algorithms sha256 and sha512 can be verified, so only they are taken. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text
  throw new AppError('REFERENCE_INVALID', `"${text.slice(0, 160)}" is not a digest`, {
    hint: 'A digest is sha256: followed by 64 lower-case hexadecimal digits.',
  })
}

export function sha256Digest(hex: string): Digest {
  return parseDigest(`sha256:${hex}`)
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest
}

export function digestAlgorithm(digest: Digest): 'sha256' | 'sha512' {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256'
}

export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

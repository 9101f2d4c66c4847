import { createHash, createPrivateKey, sign } from 'node:crypto'
import { AppError } from '../lib/errors.ts'
import { parsePublicKey, type PublicKey } from './keys.ts'
import { hashOf } from './private-key.ts'

/** A key that signs, wherever its private half lies. */
export interface Signer {
  readonly publicKey: PublicKey
  /**
   * The signature over the SHA-256 of these bytes (Ed25519: over themselves); of ECDSA in DER. Throws KEY_UNAVAILABLE,
   * CREDENTIALS_INVALID.
   */
  sign(bytes: Buffer, signal: AbortSignal): Promise<Buffer>
}

/** One whose private half is at hand, as PKCS#8 in PEM. Throws KEY_INVALID. */
export function localSigner(privateKey: string, publicKey: string): Signer {
  const key = createPrivateKey(privateKey)
  return {
    publicKey: parsePublicKey(publicKey),
    sign: (bytes) =>
      new Promise((resolve, reject) => {
        sign(hashOf(key), bytes, key, (error, signature) => (error ? reject(error) : resolve(signature)))
      }),
  }
}

const MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json'

/**
 * Signs zarf.yaml: the bytes of zarf.bundle.sig. What came is checked before it goes anywhere. Throws what the signer throws, and
 * KEY_UNAVAILABLE where that is another key's signature. Source: sigstore/protobuf-specs sigstore_bundle.proto; cosign v3
 * internal/key/svkeypair.go for the hint.
 */
export async function signDefinition(definition: Buffer, signer: Signer, signal: AbortSignal): Promise<Buffer> {
  const { publicKey } = signer
  const signature = await signer.sign(definition, signal)
  if (!publicKey.verifies(definition, signature)) {
    throw new AppError('KEY_UNAVAILABLE', 'what the key signed does not hold', {
      retry: 'permanent',
      hint: 'The key may have been replaced where it is kept: add it again (PUT /v1/keys/{name}).',
      details: { fingerprint: publicKey.fingerprint },
    })
  }
  const hint = Buffer.from(publicKey.fingerprint.replace('sha256:', ''), 'hex').toString('base64')
  const digest = createHash('sha256').update(definition).digest('base64')
  const bundle = {
    mediaType: MEDIA_TYPE,
    verificationMaterial: { publicKey: { hint } },
    messageSignature: {
      messageDigest: { algorithm: 'SHA2_256', digest },
      signature: signature.toString('base64'),
    },
  }
  return Buffer.from(JSON.stringify(bundle))
}

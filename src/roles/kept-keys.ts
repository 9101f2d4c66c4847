import { createHash } from 'node:crypto'
import type { AwsSecret, KmsKey } from '../content/clouds.ts'
import type { KeyRecord } from '../jobs/model/key-record.ts'
import { keyNotFound, type KeyRecords, type MadeSignatures } from '../jobs/keys/key-records.ts'
import { AppError } from '../lib/errors.ts'
import type { Kms } from '../oci/credentials/clouds/clouds.ts'
import { localSigner, parsePublicKey, type Signer } from '../trust/verification.ts'
import type { JobKeys } from '../worker/job-keys.ts'

/** Keys that are kept, as jobs use them; looked up anew for each job. */
export function keptKeys(records: KeyRecords, kms: Kms): JobKeys {
  return {
    async publicKey(name) {
      const record = await records.get(name)
      if (!record) throw keyNotFound(name)
      return record.publicKey
    },
    async signer(name) {
      const { record, secret } = await records.open(name)
      if (secret === null) throw cannotSign(name)
      const signer =
        'privateKey' in secret
          ? localSigner(secret.privateKey, record.publicKey)
          : kmsSigner(record, { kms, secret: secret.aws })
      return { name, signer: remembering(signer, records.signatures) }
    },
  }
}

function kmsSigner(record: KeyRecord, { kms, secret }: { kms: Kms; secret: AwsSecret }): Signer {
  const { keyId = '', region = '' } = record.kms ?? {}
  const key: KmsKey = { keyId, region }
  const algorithm = record.algorithm.startsWith('RSA') ? 'rsa' : 'ecdsa'
  return {
    publicKey: parsePublicKey(record.publicKey),
    sign: async (bytes, signal) =>
      await kms.sign(key, secret, { digest: createHash('sha256').update(bytes).digest(), algorithm, signal }),
  }
}

/**
 * ECDSA makes another signature each time, and so another package. A run that takes over from one that was lost, and whoever
 * signs the same again, gets the one that was made before: then the blobs are there, and the digest is the same.
 */
function remembering({ publicKey, ...signer }: Signer, made: MadeSignatures): Signer {
  return {
    publicKey,
    async sign(bytes, signal) {
      const place = [publicKey.fingerprint, createHash('sha256').update(bytes).digest('hex')] as const
      const known = await made.recall(...place)
      if (known && publicKey.verifies(bytes, known)) return known
      const signature = await signer.sign(bytes, signal)
      await made.remember(...place, signature)
      return signature
    },
  }
}

/** For a job too that was accepted before the key became one. */
function cannotSign(name: string): AppError {
  return new AppError('PACKAGE_NOT_SIGNABLE', `the key ${name} is a public one, which verifies and does not sign`, {
    hint: 'Name one with its private half in "options.sign.keyRef": layerd keys (GET /v1/keys) tells the kind of each.',
    details: { keyRef: name },
  })
}

/** `der`: SubjectPublicKeyInfo. */
export function publicKeyPem(der: Buffer): string {
  const lines = der.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd()
  return `-----BEGIN PUBLIC KEY-----\n${lines}\n-----END PUBLIC KEY-----\n`
}
